"""Which Pulumi CLI is used: one on PATH, else the official installer's, else one built here and the rig."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import gobuild
from tools.common import (
    CHECKOUT,
    LOCAL,
    VENV,
    ToolError,
    answer,
    cache,
    made_atomically,
    remove_tree,
    run,
    say,
)

HOME = LOCAL / "home"
"""PULUMI_HOME: plug-ins, the selected stack, logs. The user's own ~/.pulumi is never touched."""
MINIMUM = (3, 230, 0)
INSTALLER = "https://get.pulumi.com"
CHOICES = ("official", "installer", "build")


@dataclass(frozen=True)
class Engine:
    """A CLI that can be run."""

    program: Path
    rig: bool
    """Whether the rig stands in for language host and plug-ins."""
    description: str


def provide() -> Engine:
    """The first of the three that can be had; SLIPWAY_ENGINE=official|installer|build asks for one of them.

    Raises ToolError when none can be had.
    """
    wish = os.environ.get("SLIPWAY_ENGINE")
    if wish is not None and wish not in CHOICES:
        raise ToolError(f"SLIPWAY_ENGINE is {wish!r}; known are {', '.join(CHOICES)}")
    found = None
    if wish in (None, "official"):
        found = _on_path()
    # A machine that had to build it once is not asked again each time whether it has found the way to Pulumi's site.
    if found is None and (wish == "installer" or (wish is None and not gobuild.cached())):
        found = _installed()
    if found is None and wish in (None, "build"):
        found = _built()
    if found is None:
        raise ToolError(f"SLIPWAY_ENGINE={wish}: no Pulumi CLI can be had that way; leave the variable unset")
    return found


def on_path() -> str | None:
    """A `pulumi` on PATH that is not one of ours, of this checkout or another."""
    folders = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if LOCAL.name not in Path(folder).resolve().parts
    ]
    return shutil.which("pulumi", path=os.pathsep.join(folders))


def _on_path() -> Engine | None:
    program = on_path()
    if program is None:
        return None
    version = _version(program)
    if version is None or version < MINIMUM:
        say(f"{program} is older than {_dotted(MINIMUM)} and is not used")
        return None
    return _official(Path(program), f"Pulumi {_dotted(version)} from {program}")


def _installed() -> Engine | None:
    """What the official installer installs, in the user's cache folder."""
    sdk = re.search(r'^name = "pulumi"\nversion = "([^"]+)"', (CHECKOUT / "uv.lock").read_text(), re.MULTILINE)
    version = sdk[1] if sdk else ""
    target = cache() / "engine" / f"official-{version}"
    try:
        with made_atomically(target, "installing Pulumi") as scratch:
            if scratch is not None:
                _run_installer(scratch, version)
    except ToolError:
        say(f"{INSTALLER} cannot be used from here")
        return None
    return _official(target / "bin" / "pulumi", f"Pulumi {version} from the official installer")


def _run_installer(root: Path, version: str) -> None:
    say("trying the official installer of Pulumi")
    script = root / "install.sh"
    limits = ["--connect-timeout", "10", "--max-time", "60"]
    run(["curl", "-fsSL", "--proto", "=https", *limits, "--output", script, INSTALLER], quiet=True)
    run(["sh", script, "--version", version, "--install-root", root, "--no-edit-path"])
    script.unlink()
    if _version(str(root / "bin" / "pulumi")) is None:
        raise ToolError("the installer installed nothing that runs")


def _built() -> Engine:
    program = gobuild.build()
    from tests.rig import home

    try:
        home.make(HOME, program, VENV)
    except FileNotFoundError as error:
        raise ToolError(f"the rig cannot be laid out: {error}") from error
    return Engine(
        HOME / "bin" / "pulumi",
        rig=True,
        description=f"Pulumi {gobuild.version()} built from its Go module; the rig stands in for language host and "
        "plug-ins",
    )


def _official(program: Path, description: str) -> Engine:
    # Plug-ins are large and the same for all checkouts.
    shared = cache() / "plugins"
    shared.mkdir(parents=True, exist_ok=True)
    link = HOME / "plugins"
    HOME.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        remove_tree(link)
        link.symlink_to(shared)
    return Engine(program, rig=False, description=description)


def _version(program: str) -> tuple[int, ...] | None:
    # A home of its own, or the CLI would make a folder in the user's.
    printed = answer([program, "version"], env={"PULUMI_HOME": str(HOME), "PULUMI_SKIP_UPDATE_CHECK": "true"})
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", printed)
    return tuple(int(part) for part in found.groups()) if found else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
