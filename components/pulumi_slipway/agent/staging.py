"""What has come of an app's data from another machine, before it is theirs here: root's own, and whole or not at all.

`/srv/.carry/<app>/` holds the tree as far as it has come, a list of the entries that are on the disk for certain, and
how far the file after them is. A transfer that broke off goes on from there, also after a power cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, paths
from .errors import AgentError
from .tree import Entry, Extent


@dataclass(frozen=True)
class Progress:
    """From where the transfer goes on: the number of the entry, and the bytes of it that are here already."""

    index: int
    offset: int
    bytes: int
    """All bytes that are here."""


class Staging:
    """The place of one app's data on their way in."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.root = _root() / app
        self.tree = self.root / "tree"
        self.former = self.root / "former"
        self._state = self.root / "state.json"
        self._token = self.root / "token"
        self._entries = self.root / "entries.jsonl"
        self._partial = self.root / "partial.json"

    @property
    def lock(self) -> str:
        return f"carry-{self.app}"

    def take_over(self, token: str) -> None:
        """From now on only the run with this token brings data; an older one notices, and ends."""
        files.folder(_root(), 0o700)
        files.folder(self.root, 0o700)
        files.write_atomic(self._token, token.encode(), 0o600)

    def require(self, token: str) -> None:
        try:
            found = self._token.read_text()
        except FileNotFoundError:
            found = ""
        if found != token:
            raise AgentError(f"another run has taken over the transfer of {self.app}'s data: this one ends")

    def begin(self, source: dict[str, Any], extent: Extent) -> None:
        """Go on with what is here if it is of the same data, else begin anew."""
        if not self.holds(source["id"], extent.manifest):
            for path in (self._state, self._entries, self._partial, self.tree, self.former):
                files.remove(path)
            files.write_json(self._state, {"from": source, **extent.document(), "complete": False}, 0o600)

    def holds(self, source: str, manifest: str) -> bool:
        """Whether what is here, or is to come, are these data of that machine."""
        state = self.state()
        return state is not None and (state["from"]["id"], state["manifest"]) == (source, manifest)

    def state(self) -> dict[str, Any] | None:
        return files.read_json(self._state)

    @property
    def complete(self) -> bool:
        return bool((self.state() or {}).get("complete"))

    def progress(self) -> Progress:
        """How far it is; what is not on the disk for certain does not count, and is forgotten."""
        self._cut_half_line()
        count, size = 0, 0
        for entry in self.entries():
            count += 1
            size += entry.size
        partial = files.read_json(self._partial) or {}
        offset = int(partial["offset"]) if partial.get("index") == count else 0
        return Progress(count, offset, size + offset)

    def entries(self) -> Iterator[Entry]:
        """The entries that are here, in their order."""
        if self._entries.is_file():
            with self._entries.open("rb") as file:
                for line in file:
                    yield Entry.read(line)

    def note(self, lines: list[bytes]) -> None:
        """These entries are here. First everything they tell of is brought to the disk."""
        files.sync_filesystem(self.root)
        descriptor = os.open(self._entries, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "ab", closefd=False) as file:
                file.writelines(lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._partial.unlink(missing_ok=True)

    def note_partial(self, index: int, offset: int) -> None:
        """So much of the entry `index`, which is a file, is on the disk."""
        files.write_json(self._partial, {"index": index, "offset": offset}, 0o600)

    def finish(self) -> None:
        """All has come: raises `AgentError` when it is not what was announced."""
        digest = hashlib.sha256()
        with contextlib.suppress(FileNotFoundError), self._entries.open("rb") as file:
            for line in file:
                digest.update(line)
        state = self.state() or {}
        if digest.hexdigest() != state["manifest"]:
            raise AgentError(f"what came of {self.app}'s data is not what was announced: run this again")
        files.sync_filesystem(self.root)
        files.write_json(self._state, {**state, "complete": True}, 0o600)

    def put_in_place(self, shared: Path) -> None:
        """Let the tree be `shared`. Can be run again after an interruption at any point."""
        if self.tree.exists():
            if shared.exists() or shared.is_symlink():
                files.remove(self.former)
                shared.rename(self.former)
            self.tree.rename(shared)
            files.sync_folder(shared.parent)

    def remove(self) -> None:
        """Nothing is on its way any more."""
        self._state.unlink(missing_ok=True)
        files.remove(self.root)
        with contextlib.suppress(OSError):
            _root().rmdir()

    def _cut_half_line(self) -> None:
        """The last line may be half, after a power cut."""
        if self._entries.is_file():
            data = self._entries.read_bytes()
            if data and not data.endswith(b"\n"):
                files.write_atomic(self._entries, data[: data.rfind(b"\n") + 1], 0o600)


def all_staged() -> list[Staging]:
    """Every app of which something has come."""
    root = _root()
    return [Staging(path.name) for path in sorted(root.iterdir())] if root.is_dir() else []


def room(wanted: int, entries: int) -> str | None:
    """What is missing on the disk for so many more bytes and entries; None: nothing."""
    state = os.statvfs(paths.rooted("/srv"))
    free = state.f_bavail * state.f_frsize
    needed = wanted + entries * 512 + _MARGIN
    if needed > free:
        return f"{needed // 2**20} MiB are needed on the disk of /srv, and {free // 2**20} MiB are free"
    if state.f_files and entries + 1000 > state.f_favail:
        return f"{entries} files and folders are to come, and the file system of /srv has room for {state.f_favail}"
    return None


_MARGIN = 64 * 2**20
"""Bytes that are to stay free: the server itself needs some."""


def _root() -> Path:
    return paths.rooted("/srv/.carry")
