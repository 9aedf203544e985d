"""Bring a checkout to where Pulumi can run in it; quick when all is there already."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tools import engine, gobuild, system, uv, wrapper
from tools.common import CHECKOUT, LOCAL, VENV, lock, say, write_atomically

STAMP = LOCAL / "ready.json"
PASSPHRASE = LOCAL / "passphrase"
STATE = LOCAL / "state"


@dataclass(frozen=True)
class Ready:
    """What the set-up ended with."""

    key: str
    """A hash of everything it depends on: another one asks for another set-up."""
    program: str
    """The Pulumi CLI behind the one on PATH."""
    rig: bool
    description: str
    uv: str


def ensure() -> Ready:
    """Set up what is missing. Raises ToolError."""
    key = _key()
    ready = _stamped(key)
    if ready is None:
        with lock(LOCAL / "setup.lock", "setting up this checkout"):
            ready = _stamped(key) or _set_up(key)
    return ready


def variables(ready: Ready, stack: str | None = None) -> Mapping[str, str]:
    """The environment in which `pulumi` means this checkout's engine, backend and passphrase, and `stack` if given.

    `python` is then the one that has the project's packages.
    """
    own = [str(wrapper.BIN), str(VENV / "bin")]
    path = own + [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder not in own]
    if str(Path(ready.uv).parent) not in path:
        path.append(str(Path(ready.uv).parent))
    result = {
        "PATH": os.pathsep.join(path),
        "PULUMI_HOME": str(engine.HOME),
        "PULUMI_BACKEND_URL": f"file://{STATE}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(PASSPHRASE),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # With it the state file is where the secrets' salt comes from: see `wrapper`.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    if ready.rig:
        # A plug-in that the rig lacks is an error at once, not after eleven seconds of attempts.
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if stack is not None:
        # The second tells the wrapper where the first is from: it is not meant for other projects.
        result |= {"PULUMI_STACK": stack, "SLIPWAY_STACK": stack}
    return result


OVERRULING = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "PULUMI_STACK", "PYTHONDONTWRITEBYTECODE")
"""Variables of the user's that would make `pulumi` mean something else; or, the last, cost half a second each time."""


def child_environment(ready: Ready) -> dict[str, str]:
    """The whole environment for a child process."""
    inherited = {name: value for name, value in os.environ.items() if name not in OVERRULING}
    return {**inherited, **variables(ready)}


def _key() -> str:
    digest = hashlib.sha256()
    files = [CHECKOUT / "uv.lock", CHECKOUT / "pyproject.toml", CHECKOUT / "tests" / "rig" / "home.py"]
    files += [gobuild.MODULE / "go.mod", gobuild.MODULE / "go.sum"]
    files += sorted((CHECKOUT / "tools").glob("*.py"))
    for file in files:
        digest.update(file.read_bytes())
    program = engine.on_path()
    for fact in (CHECKOUT, os.environ.get("SLIPWAY_ENGINE"), program, program and os.stat(program).st_mtime_ns):  # noqa: PTH116
        digest.update(repr(fact).encode())
    return digest.hexdigest()


def _stamped(key: str) -> Ready | None:
    try:
        ready = Ready(**json.loads(STAMP.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    alive = (ready.program, ready.uv, VENV / "bin" / "python", wrapper.BIN / "pulumi", PASSPHRASE)
    return ready if ready.key == key and all(Path(path).exists() for path in alive) else None


def _set_up(key: str) -> Ready:
    say("setting up this checkout; the first time takes some minutes")
    system.ensure()
    uv_program = uv.find()
    uv.sync(uv_program)
    found = engine.provide()
    STATE.mkdir(parents=True, exist_ok=True)
    if not PASSPHRASE.exists():
        write_atomically(PASSPHRASE, secrets.token_urlsafe(32) + "\n", mode=0o600)
    wrapper.write(found.program)
    ready = Ready(key, str(found.program), found.rig, found.description, str(uv_program))
    write_atomically(STAMP, json.dumps(asdict(ready)))
    return ready
