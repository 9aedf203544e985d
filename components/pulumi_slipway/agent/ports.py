"""The loopback ports of an app whose web server is its own: one for each slot, the same in every release."""

from __future__ import annotations

import hashlib
import socket

from . import files, paths
from .errors import AgentError
from .paths import SLOTS, AppPaths

# Below those that the kernel gives to outgoing connections.
_FIRST, _LAST = 20000, 29999


def assign(app: AppPaths, slot: str) -> int:
    """The port of a slot whose server does not run; another one than before only when somebody else listens there."""
    known = files.read_json(app.ports) or {}
    port = known.get(slot)
    if isinstance(port, int) and _is_free(port):
        return port
    taken = _taken()
    for candidate in _candidates(app, slot):
        if candidate not in taken and _is_free(candidate):
            files.write_json(app.ports, {**known, slot: candidate})
            return candidate
    raise AgentError(f"no port of {_FIRST} to {_LAST} is free on this server")


def _candidates(app: AppPaths, slot: str) -> list[int]:
    """All of them, beginning at one that other apps hardly begin at."""
    size = _LAST - _FIRST + 1
    begin = int.from_bytes(hashlib.sha256(app.app.encode()).digest()[:4], "big") + SLOTS.index(slot)
    return [_FIRST + (begin + number) % size for number in range(size)]


def _taken() -> set[int]:
    """Those of all apps on this server, whether or not they run."""
    found: set[int] = set()
    for place in paths.rooted("/srv").glob("*/ports.json"):
        found.update((files.read_json(place) or {}).values())
    return found


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
