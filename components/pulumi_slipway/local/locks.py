"""Locks between processes: flock on a file, released by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import say


@contextmanager
def held(path: Path, purpose: str, *, timeout: float = 120) -> Iterator[None]:
    """Hold the lock file `path` for `purpose` (for the message to whoever has to wait).

    Waits up to `timeout` seconds, then raises `LocalError` naming the holder. The file stays: removing a lock
    file lets two processes hold two different files of one name.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
            if not told:
                say(f"waiting for {holder}")
                told = True
            if time.monotonic() > deadline:
                raise LocalError(f"waited {timeout:.0f} s for {holder}, which holds {path}")
            time.sleep(0.05)
        file.truncate(0)
        file.write(f"process {os.getpid()} ({purpose})\n")
        file.flush()
        yield


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
