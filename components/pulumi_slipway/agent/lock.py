"""One at a time: locks that end with their holder, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import files, paths
from .errors import AgentError
from .progress import say

WAIT = 60.0
"""Seconds to wait for another holder by default."""

MACHINE = "machine"
"""What belongs to no single app: nginx, supervisor, host keys. Always taken after an app's lock, never before."""


def app_lock(app: str) -> str:
    return f"app-{app}"


@contextmanager
def held(name: str, what: str, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock `name` while doing `what`.

    Raises `AgentError` that names the holder when `wait` seconds were not enough.
    """
    path = _folder() / name
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _acquire(descriptor, path, name, wait)
        os.ftruncate(descriptor, 0)
        note = {"pid": os.getpid(), "what": what, "since": time.strftime("%Y-%m-%d %H:%M:%S %Z")}
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, name: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if time.monotonic() >= deadline:
                waited = f"; waited {wait:.0f} s" if wait else ""
                raise AgentError(f"{name} is locked by {holder}{waited}. Run this again when that is done") from None
            if not told:
                say(f"waiting for {holder}")
                told = True
            time.sleep(0.1)
        else:
            return


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_bytes())
        return f"process {note['pid']} ({note['what']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _folder() -> Path:
    files.folder(paths.volatile(), 0o700)
    return files.folder(paths.volatile() / "locks", 0o700)
