"""An app's data on their way from one machine to another: entries (see `tree.py`), each file in pieces with digests.

`send` writes to stdout what `receive` reads from stdin after its request; the operator's machine is in between. Both
end when nothing moves any more, and when another run has taken over. What was received stays (see `staging.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files, hold, request, tree, users
from .errors import AgentError
from .lock import held
from .paths import AppPaths
from .progress import say
from .request import Document
from .staging import Staging
from .tree import FILE, FOLDER, LINE_LIMIT, LINK, Entry
from .users import User

PIECE = 64 * 2**20
"""Bytes that are checked, and brought to the disk, at once."""
IDLE = 120.0
"""Seconds without a byte after which the other side is taken to be gone."""

_CHUNK = 256 * 1024
_BATCH = 2000
_END = b"end\n"
_LOOK = 1.0
"""Seconds between two looks whether this run is still the one."""


def send(document: Document) -> dict[str, Any]:
    """Write the data of an app that stands still, from the entry `index` and its byte `offset` on, to stdout."""
    app = AppPaths(request.app_name(document))
    token, manifest = request.text(document, "token"), request.sha256(document, "manifest")
    index, offset = request.integer(document, "index"), request.integer(document, "offset")
    out = _Outlet(1, _Every(_LOOK, lambda: hold.renew(app, token)))
    digest = hashlib.sha256()
    root = app.shared.resolve()  # an administrator may have moved it to another disk
    for number, entry in enumerate(tree.entries(root, users.own(app.app))):
        line = entry.line()
        digest.update(line)
        if number < index:
            continue
        out.write(line)
        if entry.kind == FILE:
            _send_file(out, root / entry.path, entry, offset if number == index else 0)
    hold.renew(app, token)
    if digest.hexdigest() != manifest:
        raise _changed(root)
    out.write(_END)
    return {}


def receive(document: Document) -> dict[str, Any]:
    """Take in what `send` writes, from stdin. What came stays when it ends early."""
    app = AppPaths(request.app_name(document))
    token, manifest = request.text(document, "token"), request.sha256(document, "manifest")
    staging = Staging(app.app)
    with held(staging.lock, f"transfer of {app.app}'s data", wait=2 * _LOOK + 10):
        staging.require(token)
        state = staging.state()
        if state is None or state["manifest"] != manifest:
            raise AgentError(f"the transfer of {app.app}'s data was not announced")
        inlet = _Inlet(0, _Every(_LOOK, lambda: staging.require(token)))
        arrivals = _Arrivals(staging, users.own(app.app), inlet, int(state["entries"]))
        try:
            arrivals.take()
        finally:
            arrivals.note()
        arrivals.furnish_folders()
        staging.finish()
        say(f"the data of {app.app} have come")
    return {"app": app.app, "complete": True}


class _Every:
    """Does something now, and then not more often than every few seconds."""

    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self._seconds, self._what, self._next = seconds, what, 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._what()
            self._next = time.monotonic() + self._seconds


class _Outlet:
    """A descriptor that is written to, as long as somebody reads."""

    def __init__(self, descriptor: int, look: _Every) -> None:
        self._descriptor, self._look = descriptor, look
        os.set_blocking(descriptor, False)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._look()
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                _wait([], [self._descriptor], self._look)
            except BrokenPipeError as error:
                raise AgentError("the transfer ended early: nobody reads any more") from error


class _Inlet:
    """A descriptor that is read from, as long as something comes."""

    def __init__(self, descriptor: int, look: _Every) -> None:
        self._descriptor, self._look, self._data = descriptor, look, b""

    def line(self) -> bytes:
        while b"\n" not in self._data:
            if len(self._data) > LINE_LIMIT:
                raise AgentError("the transfer is damaged: what came is no entry")
            self._data += self._more()
        line, _, self._data = self._data.partition(b"\n")
        return line + b"\n"

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many."""
        data = self._data or self._more()
        self._data = data[most:]
        return data[:most]

    def _more(self) -> bytes:
        self._look()
        _wait([self._descriptor], [], self._look)
        data = os.read(self._descriptor, _CHUNK)
        if not data:
            raise AgentError("the transfer ended early; what came is kept")
        return data


def _wait(readers: list[int], writers: list[int], look: _Every) -> None:
    deadline = time.monotonic() + IDLE
    while not any(select.select(readers, writers, [], _LOOK)):
        look()
        if time.monotonic() > deadline:
            raise AgentError(f"the transfer ended early: nothing moved for {IDLE:.0f} s")


class _Arrivals:
    """Puts what comes into the tree, with owners, modes and times."""

    def __init__(self, staging: Staging, user: User | None, inlet: _Inlet, announced: int) -> None:
        self._staging, self._user, self._inlet, self._announced = staging, user, inlet, announced
        begun = staging.progress()
        self._index, self._offset = begun.index, begun.offset
        self._folders = {entry.path for entry in staging.entries() if entry.kind == FOLDER}
        self._lines: list[bytes] = []
        self._bytes = 0

    def take(self) -> None:
        """Everything up to the end that the sender announces."""
        while (line := self._inlet.line()) != _END:
            entry = Entry.read(line)
            if self._index >= self._announced:
                raise AgentError(f"more than the {self._announced} entries came that were announced")
            self._put(entry)
            self._lines.append(line)
            self._index += 1
            self._bytes += entry.size
            if len(self._lines) >= _BATCH or self._bytes >= PIECE:
                self.note()

    def note(self) -> None:
        """What came so far will not have to come again."""
        if self._lines:
            self._staging.note(self._lines)
            self._lines, self._bytes = [], 0

    def furnish_folders(self) -> None:
        """Owners, modes and times of the folders: last, since each thing put into one changes its time."""
        found = [entry for entry in self._staging.entries() if entry.kind == FOLDER]
        for entry in reversed(found):
            path = self._place(entry.path)
            self._own(path, entry)
            path.chmod(tree.mode_of(entry))
            os.utime(path, ns=(entry.modified, entry.modified))

    def _put(self, entry: Entry) -> None:
        path = self._place(entry.path)
        if entry.path == "":
            if entry.kind != FOLDER:
                raise AgentError("the data that came are no folder")
        elif entry.path.rpartition("/")[0] not in self._folders:
            raise AgentError(f"{entry.path!r} lies in no folder of the app's data: not taken")
        if entry.kind == FOLDER:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            self._folders.add(entry.path)
        elif entry.kind == FILE:
            self._write(path, entry)
        else:
            files.remove(path)  # of a run that ended before it could note this entry
            if entry.kind == LINK:
                path.symlink_to(entry.target)
                self._own(path, entry)
                os.utime(path, ns=(entry.modified, entry.modified), follow_symlinks=False)
            else:
                self._link(path, entry)

    def _link(self, path: Path, entry: Entry) -> None:
        folder = entry.target.rpartition("/")[0]
        first = self._place(entry.target)
        if folder not in self._folders or first.is_symlink() or not first.is_file():
            raise AgentError(f"{entry.path!r} is another name of {entry.target!r}, which did not come: not taken")
        os.link(first, path, follow_symlinks=False)

    def _write(self, path: Path, entry: Entry) -> None:
        offset, self._offset = self._offset, 0
        if offset == 0:
            files.remove(path)
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if offset else os.O_CREAT | os.O_EXCL)
        descriptor = os.open(path, flags, 0o600)
        try:
            os.ftruncate(descriptor, offset)
            os.lseek(descriptor, offset, os.SEEK_SET)
            while offset < entry.size:
                offset = self._write_piece(descriptor, entry, offset)
            os.fchown(descriptor, *self._numbers(entry))
            os.fchmod(descriptor, tree.mode_of(entry))
            os.utime(descriptor, ns=(entry.modified, entry.modified))
        finally:
            os.close(descriptor)

    def _write_piece(self, descriptor: int, entry: Entry, offset: int) -> int:
        end = min(entry.size, offset + PIECE)
        digest = hashlib.sha256()
        while offset < end:
            data = self._inlet.some(min(_CHUNK, end - offset))
            digest.update(data)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            offset += len(data)
        if self._inlet.line() != digest.hexdigest().encode() + b"\n":
            raise AgentError(f"a piece of {entry.path!r} was damaged on its way; run this again")
        if offset < entry.size:
            self.note()
            os.fdatasync(descriptor)
            self._staging.note_partial(self._index, offset)
        return offset

    def _place(self, name: str) -> Path:
        return self._staging.tree / name if name else self._staging.tree

    def _own(self, path: Path, entry: Entry) -> None:
        os.lchown(path, *self._numbers(entry))

    def _numbers(self, entry: Entry) -> tuple[int, int]:
        return tree.uid_here(entry.owner, self._user), tree.gid_here(entry.group, self._user)


def _send_file(out: _Outlet, path: Path, entry: Entry, offset: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        file.seek(offset)
        while offset < entry.size:
            end = min(entry.size, offset + PIECE)
            digest = hashlib.sha256()
            while offset < end:
                data = file.read(min(_CHUNK, end - offset))
                if not data:
                    raise _changed(path)
                digest.update(data)
                out.write(data)
                offset += len(data)
            out.write(digest.hexdigest().encode() + b"\n")
        state = os.fstat(descriptor)
        if (state.st_size, state.st_mtime_ns, state.st_ctime_ns) != (entry.size, entry.modified, entry.changed):
            raise _changed(path)


def _changed(path: Path) -> AgentError:
    return AgentError(f"{path} changed while it was sent: something besides the app writes there")
