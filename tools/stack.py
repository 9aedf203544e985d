"""Stacks: made when they are missing, freed from the locks of dead processes, their outputs read."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from tools import setup, wrapper
from tools.common import CHECKOUT, LOCAL, ToolError, answer, run, say, write_atomically

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def check(stack: str, app: str | None) -> None:
    """Raise ToolError for a stack or an application that cannot be meant, before anything is set up."""
    if NAME.fullmatch(stack) is None:
        raise ToolError(f"STACK={stack!r} is no name of a stack: letters, digits, '-', '_' and '.'")
    if app is not None and not Path(app).is_dir():
        raise ToolError(f"APP={app!r} is no folder; it is taken from {Path.cwd()}")
    settings = CHECKOUT / f"Pulumi.{stack}.yaml"
    if app is None:
        if not settings.exists():
            raise ToolError(
                f"STACK={stack}: there is no {settings.name}. Write one (Pulumi.dev.yaml is an example), or name a "
                f"folder with an application: make up STACK={stack} APP=path"
            )
    elif settings.exists():
        # Commands, health rule and the rest of the file belong to its own application, and so do the server's data.
        named = _application(settings)
        if named is None or (CHECKOUT / named).resolve() != Path(app).resolve():
            raise ToolError(
                f"APP={app}: {settings.name} is for the application {named or '(none that can be read there)'}. "
                f"Give this one a stack of its own: make up STACK=name APP={app}"
            )


def target(stack: str, app: str | None) -> str:
    """Where the stack's server is, by its settings file; that of a file which is still to be made for `app`."""
    settings = CHECKOUT / f"Pulumi.{stack}.yaml"
    if not settings.exists():
        return "local" if app is not None else ""
    found = re.search(r"""^ +["']?slipway:target["']? *: *["']?([a-z0-9]+)""", settings.read_text(), re.MULTILINE)
    return found[1] if found else ""


def ensure(ready: setup.Ready, stack: str, app: str | None) -> None:
    """Make the stack if there is none, and its settings file; say so. Raises ToolError."""
    check(stack, app)
    settings = CHECKOUT / f"Pulumi.{stack}.yaml"
    if app is not None and not settings.exists():
        # JSON's strings are YAML's too.
        lines = ["config:", "  slipway:target: local", "  slipway:app:", f"    path: {json.dumps(_path(app))}", ""]
        write_atomically(settings, "\n".join(lines))
        say(f"wrote {settings.name}: {app} on a local machine. It is yours to edit.")
    if not _file(stack).exists():
        _create(ready, stack)


def _create(ready: setup.Ready, stack: str) -> None:
    say(f"making the stack {stack} in {setup.STATE}")
    environment = setup.child_environment(ready)
    # In a folder of its own, as the CLI writes the salt of the stack's secrets into the settings file beside
    # Pulumi.yaml: see `wrapper`.
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        shutil.copy(CHECKOUT / "Pulumi.yaml", folder)
        run([ready.program, "stack", "init", stack, "--no-select"], cwd=Path(folder), env=environment, quiet=True)
    if not answer([ready.program, "stack", "--show-name", "--cwd", CHECKOUT], env=environment):
        run(
            [ready.program, "stack", "select", stack, "--cwd", CHECKOUT], env=environment, quiet=True
        )  # for plain `pulumi up`


def _application(settings: Path) -> str | None:
    """`slipway:app`'s `path` in a settings file, read without a parser of YAML; None where it cannot be told."""
    lines = [line for line in settings.read_text().splitlines() if re.match(r" *[^ #]", line)]
    for number, line in enumerate(lines):
        key = re.match(r"""( *)["']?slipway:app["']? *:(.*)""", line)
        if key is None:
            continue
        deeper = re.compile(rf" {{{len(key[1]) + 1},}}")
        within = list(itertools.takewhile(deeper.match, lines[number + 1 :]))
        if "{" in key[2]:  # all in braces; those inside go, as `health` has a path too
            whole = " ".join([key[2], *within]).strip().removeprefix("{")
            found = re.search(rf"(?:^|,) *path *: *{_SCALAR}", re.sub(r"\{[^{}]*\}", "", whole))
        else:
            own = [inner.strip() for inner in within if _indent(inner) == _indent(within[0])]
            found = next(filter(None, (re.match(rf"path *: *{_SCALAR}", inner) for inner in own)), None)
        if found:
            return next(text for text in found.groups() if text is not None).strip()
    return None


_SCALAR = r"""(?:"([^"]*)"|'([^']*)'|([^\s,}#"'](?:(?! #)[^,}])*))"""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _path(app: str) -> str:
    """The folder relative to the checkout where it lies inside, else absolute."""
    folder = Path(app).resolve()
    return str(folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder)


# -- locks -----------------------------------------------------------------------------------------------------


def clear_dead_locks(stack: str) -> None:
    """Remove the locks that processes of this machine left behind when they died, and no others."""
    folder = setup.STATE / ".pulumi" / "locks" / "organization" / wrapper.project() / stack
    if not folder.is_dir():
        return
    for file in folder.glob("*.json"):
        try:
            held = json.loads(file.read_text())
            since = datetime.fromisoformat(held["timestamp"]).timestamp()
            host, pid = held["hostname"], int(held["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # gone, or being written, or of a later Pulumi: not ours to judge
        if host == os.uname().nodename and not _alive(pid, since):
            say(f"the process {pid} that locked the stack {stack} is dead: removing its lock")
            file.unlink(missing_ok=True)


def _alive(pid: int, since: float) -> bool:
    """Whether a process lives that already did at that time: its number may have gone to a later one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        booted = next(
            int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
        )
    except (OSError, StopIteration, ValueError):
        return not Path("/proc/self").exists()  # without /proc nothing is known, and nothing is removed
    started = booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0] not in "ZX" and started <= since + 2  # both clocks are read in whole seconds


# -- state -----------------------------------------------------------------------------------------------------


def _file(stack: str) -> Path:
    return setup.STATE / ".pulumi" / "stacks" / wrapper.project() / f"{stack}.json"


def names() -> list[str]:
    """The stacks of this checkout."""
    return sorted(file.stem for file in _file("any").parent.glob("*.json"))


def resources(stack: str) -> list[dict[str, Any]]:
    """What the stack's state holds; empty when there is no state."""
    try:
        document = json.loads(_file(stack).read_text())
    except FileNotFoundError:
        return []
    latest = document["checkpoint"].get("latest") or {}
    return list(latest.get("resources") or [])


def holding_elsewhere() -> list[str]:
    """The stacks of other projects in this checkout's state that hold resources, or of which nobody can tell."""
    folder = setup.STATE / ".pulumi" / "stacks"
    own = folder / wrapper.project()
    held = []
    for file in sorted(folder.rglob("*.json*")):
        if (
            (file.parent != own or file.suffix == ".gz")
            and not file.name.endswith((".bak", ".attrs"))
            and _may_hold(file)
        ):
            held.append(str(file.relative_to(folder)).partition(".json")[0])
    return held


def _may_hold(file: Path) -> bool:
    try:
        latest = json.loads(file.read_text())["checkpoint"].get("latest") or {}
        kinds = [str(entry["type"]) for entry in latest.get("resources") or []]
        pending = latest.get("pending_operations")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True
    return bool(pending) or any(kind != "pulumi:pulumi:Stack" and "pulumi:providers:" not in kind for kind in kinds)


def output(ready: setup.Ready, stack: str, name: str) -> str:
    """One output of the stack as text. Raises ToolError when it has none of that name.

    Read from the state file, which takes a hundredth of the CLI's time; a secret one is left to the CLI.
    """
    root = next((entry for entry in resources(stack) if entry["type"] == "pulumi:pulumi:Stack"), {})
    value = (root.get("outputs") or {}).get(name)
    if isinstance(value, str):
        return value
    if value is not None:
        printed = subprocess.run(
            [ready.program, "stack", "output", name, "--show-secrets", "--stack", stack, "--cwd", CHECKOUT],
            env=setup.child_environment(ready),
            capture_output=True,
            check=False,
        )
        if printed.returncode == 0:
            return printed.stdout.decode().strip()
    raise ToolError(
        f"the stack {stack} has no output {name!r}; run `make up{'' if stack == 'dev' else f' STACK={stack}'}` first"
    )


def certificate(ready: setup.Ready, stack: str) -> Path:
    """The file with the certificate to trust. Raises ToolError when the stack has none."""
    path = LOCAL / "certificates" / f"{stack}.pem"
    text = output(ready, stack, "certificate")
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text)
    return path
