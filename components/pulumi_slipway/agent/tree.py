"""The data of an app as a list of entries, in an order that is always the same: so a transfer can go on anywhere.

Each entry is one line of JSON. The digest of all lines is the tree's `manifest`: it tells whether anything was added,
removed or written to, and the receiving side checks what it has by it.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .errors import AgentError
from .users import User

FOLDER, FILE, LINK, SAME = "folder", "file", "link", "same"
"""Kinds of entries; SAME is another name of a file that came before it."""

OWN = "@app"
"""Stands for the app's user (and its group), whose number is another one on each server."""

NOTES = ".slipway"
"""Folder in an app's data with what Slipway notes of them."""

LINE_LIMIT = 64 * 1024
_MODE = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
_FOLDER_MODE = _MODE | stat.S_ISGID | stat.S_ISVTX


@dataclass(frozen=True)
class Entry:
    """One file, folder or link. `changed` (the time of the last change of anything about it) is not carried: it is
    there for the manifest, since nobody can set it."""

    path: str
    """Relative to the tree; "" is the tree itself."""
    kind: str
    mode: int
    owner: str
    group: str
    size: int
    modified: int
    """Nanoseconds since 1970."""
    changed: int
    target: str = ""
    """Where a link leads; of which file this is another name."""

    def line(self) -> bytes:
        return json.dumps(self.__dict__, ensure_ascii=True, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Entry:
        """Raises `AgentError` for what is no entry, or one whose name leads out of the tree."""
        try:
            document: dict[str, Any] = json.loads(line)
            entry = cls(**document)
            whole = (entry.mode, entry.size, entry.modified, entry.changed)
            texts = (entry.path, entry.kind, entry.owner, entry.group, entry.target)
        except (ValueError, TypeError) as error:
            raise AgentError("the transfer is damaged: what came is no entry") from error
        if not all(type(value) is int for value in whole) or not all(isinstance(text, str) for text in texts):
            raise AgentError("the transfer is damaged: what came is no entry")
        if entry.kind not in (FOLDER, FILE, LINK, SAME) or entry.size < 0:
            raise AgentError(f"{entry.path!r} is neither a file, a folder nor a link: not taken")
        check_inside(entry.path)
        if entry.kind == SAME:
            check_inside(entry.target)
        return entry


@dataclass(frozen=True)
class Extent:
    """How much a tree holds, and its manifest."""

    manifest: str
    entries: int
    bytes: int

    def document(self) -> dict[str, Any]:
        return dict(self.__dict__)


def check_inside(path: str) -> None:
    """Raises `AgentError` for a name that leads out of the tree, or is not in its shortest form."""
    parts = path.split("/")
    if path and (path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in parts)):
        raise AgentError(f"{path!r} leads out of the app's data: not taken")


def entries(root: Path, user: User | None, left_out: list[str] | None = None) -> Iterator[Entry]:
    """Every entry of the tree at `root`, each folder before what is in it.

    Devices, pipes and sockets are none; their names are added to `left_out`.
    """
    names: dict[tuple[int, int], str] = {}
    yield from _entries(root, "", user, names, [] if left_out is None else left_out)


def extent(root: Path, user: User | None, left_out: list[str] | None = None) -> Extent:
    """The extent of a tree that nobody changes."""
    digest, count, size = hashlib.sha256(), 0, 0
    for entry in entries(root, user, left_out):
        digest.update(entry.line())
        count += 1
        size += entry.size
    return Extent(digest.hexdigest(), count, size)


def measure(root: Path) -> tuple[int, int]:
    """Files (and links) and bytes in a tree that may be changing. What Slipway notes in it itself is no data."""
    count, size = 0, 0
    for folder, folders, names in os.walk(root):
        if folder == os.fspath(root):
            folders[:] = [name for name in folders if name != NOTES]
        for name in names:
            try:
                state = os.lstat(os.path.join(folder, name))  # noqa: PTH118 (names need not be valid text)
            except FileNotFoundError:
                continue
            count += 1
            size += state.st_size if stat.S_ISREG(state.st_mode) else 0
    return count, size


def mode_of(entry: Entry) -> int:
    """The mode that an entry gets: a program that runs as somebody else is nothing to be carried."""
    return entry.mode & (_FOLDER_MODE if entry.kind == FOLDER else _MODE)


def _entries(
    root: Path, name: str, user: User | None, names: dict[tuple[int, int], str], left_out: list[str]
) -> Iterator[Entry]:
    path = root / name if name else root
    state = path.lstat()
    kind = _kind(state)
    if kind is None:
        left_out.append(name)
        return
    target, size = "", 0
    if kind == LINK:
        target = os.readlink(path)  # noqa: PTH115 (its text)
    elif kind == FILE:
        size = state.st_size
        if state.st_nlink > 1:
            first = names.setdefault((state.st_dev, state.st_ino), name)
            if first != name:
                kind, target, size = SAME, first, 0
    yield Entry(
        path=name,
        kind=kind,
        mode=stat.S_IMODE(state.st_mode),
        owner=_owner(state.st_uid, user),
        group=_group(state.st_gid, user),
        size=size,
        modified=state.st_mtime_ns,
        changed=state.st_ctime_ns,
        target=target,
    )
    if kind == FOLDER:
        for child in sorted(os.listdir(path), key=os.fsencode):  # noqa: PTH208 (the names alone)
            yield from _entries(root, f"{name}/{child}" if name else child, user, names, left_out)


def _kind(state: os.stat_result) -> str | None:
    kinds = {stat.S_IFDIR: FOLDER, stat.S_IFREG: FILE, stat.S_IFLNK: LINK}
    return kinds.get(stat.S_IFMT(state.st_mode))


def _owner(uid: int, user: User | None) -> str:
    return OWN if user is not None and uid == user.uid else _user_name(uid)


def _group(gid: int, user: User | None) -> str:
    return OWN if user is not None and gid == user.gid else _group_name(gid)


@cache
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@cache
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def uid_here(owner: str, user: User | None) -> int:
    """The number of an owner on this server; one that is unknown here is the app's user."""
    own = user.uid if user is not None else 0
    if owner == OWN:
        return own
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        return own


def gid_here(group: str, user: User | None) -> int:
    own = user.gid if user is not None else 0
    if group == OWN:
        return own
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return own
