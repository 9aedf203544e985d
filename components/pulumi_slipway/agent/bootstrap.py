"""Waiting for the end of a new server's set-up, telling people how far it is and what went wrong."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from . import files, paths, request
from .errors import AgentError
from .facts import facts
from .progress import say
from .request import Document

_OUTPUT = "/var/log/cloud-init-output.log"
_PAUSE = 0.2
_EVERY = 5.0
"""Seconds between two lines about a step that goes on."""


def bootstrap(document: Document) -> dict[str, Any]:
    """Return when cloud-init is done and the marker of our script is there. Raises `AgentError` with cloud-init's
    own errors when it failed, and when `timeout` seconds (600) were not enough."""
    timeout = request.number(document, "timeout", 600)
    began = time.monotonic()
    told, told_at = "", 0.0
    while True:
        finished, errors = _cloud_init()
        if finished and _marker().is_file():
            for error in errors:
                say(f"warning: cloud-init: {error}")
            say("the server is set up")
            return {"facts": facts(), "warnings": errors[:5]}
        if finished:
            raise AgentError("the server's set-up failed", [*errors, *_last_output(25)])
        now = time.monotonic()
        if now - began > timeout:
            raise AgentError(f"the server's set-up did not end within {timeout:.0f} s", _last_output(25))
        line = (_last_output(1) or ["cloud-init begins"])[0]
        if line != told and now - told_at > _EVERY:
            say(f"setting up ({now - began:.0f} s): {line[:150]}")
            told, told_at = line, now
        time.sleep(_PAUSE)


def _cloud_init() -> tuple[bool, list[str]]:
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
