"""Room on the disk: asked for before a release is begun, so that none fails halfway."""

from __future__ import annotations

import os
from pathlib import Path

from . import files, users
from .errors import AgentError
from .paths import AppPaths
from .progress import say

SPARE = 500 * 2**20
"""Bytes that stay free for the server and the app's own data."""

_MIB = 2**20


def free(place: Path) -> int:
    """Bytes that are free on the disk of `place`."""
    state = os.statvfs(place)
    return state.f_bavail * state.f_frsize


def unpacked_size(archive: Path) -> int:
    """Bytes that a .tar.gz unpacks to, as its last four bytes say (less 4 GiB, where it is more)."""
    with archive.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def require_for_release(app: AppPaths, archive: Path) -> None:
    """Raises `AgentError` when the disk has no room for a release of this archive. Downloaded packages, which are
    only kept to save time, go first."""
    size = unpacked_size(archive)
    needed = 2 * size + SPARE
    if free(app.root) < needed:
        cache = app.build / "cache"
        say("the disk is nearly full: the package cache is emptied")
        files.remove(cache)
        builder = users.require(users.build_name(app.app))
        files.folder(cache, 0o700, builder.uid, builder.gid)
    require(app.root, needed, f"twice the {_mib(size)} MiB of the unpacked release, and {_mib(SPARE)} MiB to spare")


def require(place: Path, needed: int, why: str) -> None:
    """Raises `AgentError` when less than `needed` bytes are free on the disk of `place`."""
    there = free(place)
    if there < needed:
        raise AgentError(
            f"the server's disk has {_mib(there)} MiB free, and {_mib(needed)} MiB are needed ({why}): nothing was "
            "begun, what serves goes on. Make room (apt-get clean, journalctl --vacuum-size=100M, files of the app in "
            f"{place}/shared), keep fewer releases (app.keep), or take a larger disk"
        )


def _mib(size: int) -> int:
    return -(-size // _MIB)
