"""Waiting for the end of a new server's set-up, telling people how far it is and what went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from . import files, paths, request, run
from .errors import AgentError
from .facts import facts
from .lock import held
from .progress import say
from .request import Document
from .run import Deadline
from .users import User

_OUTPUT = "/var/log/cloud-init-output.log"
_PAUSE = 0.2
_EVERY = 5.0
"""Seconds between two lines about a step that goes on."""

_REMEDY = "run the same command again, or raise generation for a new machine"
_DPKG = ["dpkg", "--force-confold", "--configure", "-a"]


def bootstrap(document: Document) -> dict[str, Any]:
    """Return when cloud-init is done and the marker of our script is there.

    When cloud-init is done without it, the script is run here, once: cloud-init runs it at the first boot only, which
    may have been interrupted, or have met a mirror that was down. Raises `AgentError` with the script's last lines
    when that fails, and when `timeout` seconds (600) were not enough.
    """
    timeout = request.number(document, "timeout", 600)
    began = time.monotonic()
    told, told_at = "", 0.0
    while True:
        finished, errors = cloud_init()
        if finished and _marker().is_file():
            for error in errors:
                say(f"warning: cloud-init: {error}")
            say("the server is set up")
            return {"facts": facts(), "warnings": errors[:5]}
        if finished:
            _run_script(Deadline(max(1.0, timeout - (time.monotonic() - began)), "timeout"), errors)
            continue
        now = time.monotonic()
        if now - began > timeout:
            raise AgentError(f"the server's set-up did not end within {timeout:.0f} s", _last_output(25))
        line = (_last_output(1) or ["cloud-init begins"])[0]
        if line != told and now - told_at > _EVERY:
            say(f"setting up ({now - began:.0f} s): {line[:150]}")
            told, told_at = line, now
        time.sleep(_PAUSE)


def _run_script(deadline: Deadline, errors: list[str]) -> None:
    """What cloud-init did not bring to its end, once more. When this returns, the marker is there."""
    script = paths.state() / "bootstrap.sh"
    if not script.is_file():
        raise AgentError(f"the server's set-up failed, {_REMEDY}", [*errors, *_last_output(25)])
    with held("bootstrap", "the server's set-up", wait=deadline.left):
        if _marker().is_file():  # somebody else's run, which we waited for
            return
        say("cloud-init ended without setting up the server: running the set-up again")
        root = User("root", os.geteuid(), os.getegid())
        environment = {"PATH": run.SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        # apt refuses to work while packages are half installed, as they are when the power went
        with contextlib.suppress(AgentError):
            run.step(_DPKG, root, Path("/"), environment, deadline, "dpkg --configure", quiet=True)
        try:
            run.step(["/bin/sh", str(script)], root, Path("/"), environment, deadline, "the set-up of the server")
        except AgentError as error:
            raise AgentError(f"{error.message}, also when it was run again: {_REMEDY}", error.tail) from error
        if not _marker().is_file():
            raise AgentError(f"the set-up of the server ended, but without {_marker()}: {_REMEDY}")


def cloud_init() -> tuple[bool, list[str]]:
    """Whether cloud-init has ended (or is not in use here), and what errors it tells of."""
    if not paths.rooted("/run/cloud-init").is_dir():
        return True, []
    result = _read(paths.rooted("/run/cloud-init/result.json"))
    if result is None:
        if paths.rooted("/run/cloud-init/disabled").exists():
            return True, []
        return False, []
    return True, [str(error) for error in result.get("v1", {}).get("errors", [])]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):  # not there yet, or being written
        return None
    return document if isinstance(document, dict) else None


def _marker() -> Path:
    """Written by the last command of the bootstrap script."""
    return paths.state() / "bootstrapped"


def _last_output(lines: int) -> list[str]:
    return files.last_lines(paths.rooted(_OUTPUT), lines=lines)
