"""Locks between processes: flock on a file, released by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import say


@contextmanager
def held(path: Path, purpose: str, *, timeout: float = 120) -> Iterator[None]:
    """Hold the lock file `path` for `purpose` (for the message to whoever has to wait).

    Waits up to `timeout` seconds, then raises `LocalError` naming the holder. Who holds it may remove the file.
    """
    deadline = time.monotonic() + timeout
    told = False
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+") as file:
            if _lock(file) and _is_still_at(path, file):
                file.truncate(0)
                file.write(f"process {os.getpid()} ({purpose})\n")
                file.flush()
                yield
                return
            file.seek(0)
            holder = file.read().strip() or "another process"
        if time.monotonic() > deadline:
            raise LocalError(f"waited {timeout:.0f} s for {holder}, which holds {path}")
        if not told:
            say(f"waiting for {holder}")
            told = True
        time.sleep(0.05)


def is_held(path: Path) -> bool:
    """Whether any process holds the lock file `path` at this moment."""
    try:
        file = path.open()
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still_at(path: Path, file: IO[str]) -> bool:
    """Whether the locked file is the one that others find at `path`: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
