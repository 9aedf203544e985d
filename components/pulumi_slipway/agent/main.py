"""`agent COMMAND`: one JSON document in, progress for people on stderr, one JSON line out."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import started  # noqa: F401 (it notes the time)
from .errors import AgentError
from .progress import clean, say

Answer = dict[str, Any]

_REQUEST_LIMIT = 64 * 1024 * 1024
_LINE_LIMIT = 8 * 1024
# An answer is one line under 8 KB, also when each character of the error becomes an escape of six.
_ERROR_LIMIT = 1200

_FULL = "the server's disk is full{where}: make room on it, and run this again"
_DISK = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "the server's file system can only be read{where}: see `dmesg` there for why, have it written to "
    "again (`mount -o remount,rw`), and run this again",
}
"""What to do about an error of the disk's."""


@dataclass(frozen=True)
class Command:
    """Where a command is written. A `detached` one changes things, and outlives its connection."""

    module: str
    function: str
    detached: bool = True
    follows: bool = False
    """More follows on stdin, after the one line of the document."""
    silent: bool = False
    """Its stdout is not for an answer."""


COMMANDS = {
    "access": Command("access", "access"),
    "adopt": Command("adopt", "adopt"),
    "boot": Command("boot", "boot", detached=False),
    "bootstrap": Command("bootstrap", "bootstrap", detached=False),
    "claim": Command("claim", "claim"),
    "expect": Command("carry", "expect"),
    "forget": Command("carry", "forget"),
    "give-back": Command("giveback", "give_back"),
    "harden": Command("harden", "harden"),
    "hold": Command("hold", "hold"),
    "confirm": Command("harden", "confirm"),
    "database": Command("database_server", "database"),
    "database-remove": Command("database_server", "remove"),
    "host-keys": Command("host_keys", "host_keys"),
    "inventory": Command("carry", "inventory", detached=False),
    "journal": Command("history", "journal_lines", detached=False),
    "lapse": Command("hold", "lapse", detached=False),
    "leave": Command("hold", "leave"),
    "logs": Command("history", "logs", detached=False),
    "observe": Command("observe", "observe", detached=False),
    "place": Command("carry", "place"),
    "receive": Command("transfer", "receive", detached=False, follows=True),
    "release": Command("release", "release"),
    "releases": Command("history", "releases", detached=False),
    "remove": Command("claim", "remove"),
    "renew": Command("site", "renew"),
    "resume": Command("hold", "resume"),
    "rollback": Command("rollback", "rollback"),
    "send": Command("transfer", "send", detached=False, silent=True),
    "settle": Command("adopt", "settle"),
    "site": Command("site", "site"),
    "soften": Command("harden", "soften"),
    "source": Command("history", "source", detached=False),
    "status": Command("status", "status", detached=False),
    "take-back": Command("harden", "take_back"),
    "units": Command("claim", "keep_units", detached=False),
    "upgrade": Command("upgrade", "upgrade"),
}


def main(arguments: list[str] | None = None) -> int:
    """The agent's exit status: 0 done, 1 failed (stderr says why), 2 not understood."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["slot"], ["job"]):  # run by supervisor and systemd: their own, much smaller world
        from .slot import run_job, run_slot

        return (run_slot if arguments[0] == "slot" else run_job)(arguments[1:])
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: agent COMMAND < request.json\ncommands: {', '.join(COMMANDS)}\n")
        return 2
    command = COMMANDS[arguments[0]]
    answer = _answer(command)
    if command.silent:
        return 0 if answer["ok"] else 1
    try:
        sys.stdout.write(json.dumps(answer, ensure_ascii=True) + "\n")
        sys.stdout.flush()
    except OSError:
        return 1
    return 0 if answer["ok"] else 1


def _answer(command: Command) -> Answer:
    try:
        request = _read_request(_first_line() if command.follows else None)
    except AgentError as error:
        return _failed(error)
    if not command.detached:
        return _guarded(command, request)

    from .detach import detached

    try:
        return detached(lambda: _guarded(command, request), _sweep)
    except AgentError as error:
        return _failed(error)


def _sweep() -> None:
    """Remove what commands put aside: on some disks that takes a millisecond a file."""
    from .claim import claimed
    from .files import sweep

    sweep(app.work for app in claimed())


def _guarded(command: Command, request: dict[str, Any]) -> Answer:
    """Run a command; whatever goes wrong becomes an answer, and its explanation the last thing on stderr."""
    try:
        module = importlib.import_module(f".{command.module}", __package__)
        function: Callable[[dict[str, Any]], Answer] = getattr(module, command.function)
        return {"ok": True, **function(request)}
    except AgentError as error:
        return _failed(error)
    except OSError as error:
        if error.errno in _DISK:
            where = f" ({error.filename})" if error.filename else ""
            return _failed(AgentError(_DISK[error.errno].format(where=where)))
        return _unexpected(error)
    except Exception as error:  # a bug: say where
        return _unexpected(error)


def _unexpected(error: Exception) -> Answer:
    import traceback  # not needed by all that goes well

    lines = traceback.format_exception(error)[-6:]
    told = [line for part in lines for line in part.splitlines()][-12:]
    return _failed(AgentError(f"the agent failed unexpectedly: {type(error).__name__}: {error}", told))


def _failed(error: AgentError) -> Answer:
    text = "\n".join(clean(line) for line in str(error).splitlines())
    say(f"error: {text}")
    if len(text) > _ERROR_LIMIT:  # what went wrong is said first, why it did last
        text = f"{text[: _ERROR_LIMIT // 2]}\n    …\n{text[-_ERROR_LIMIT // 2 :]}"
    return {"ok": False, "error": text, **({"code": error.code} if error.code else {})}


def _first_line() -> bytes:
    """Byte by byte: what follows it is for the command."""
    data = b""
    while not data.endswith(b"\n") and len(data) < _LINE_LIMIT and (byte := os.read(0, 1)):
        data += byte
    return data


def _read_request(data: bytes | None = None) -> dict[str, Any]:
    if data is None:
        data = sys.stdin.buffer.read(_REQUEST_LIMIT + 1)
    if len(data) > _REQUEST_LIMIT:
        raise AgentError("the request is too large")
    if not data.strip():
        return {}
    try:
        request = json.loads(data)
    except ValueError as error:
        # not the exception's own text: it may quote the document, and that holds secrets
        raise AgentError("the request on stdin is no JSON document") from error
    if not isinstance(request, dict):
        raise AgentError("the request on stdin is no JSON object")
    return request
