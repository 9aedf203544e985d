"""Replacing several files so that all of them are new and valid, or all are as before.

What was there is written down first. While that note exists, nothing is decided: an interrupted change is put back by
the next command, or at boot before the files are read by anybody.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files


@dataclass(frozen=True)
class Content:
    """What a file is to be."""

    data: bytes
    mode: int = 0o644


def differing(wanted: Mapping[Path, Content | None]) -> dict[Path, Content | None]:
    """The part of `wanted` that is not so on the disk. None: no file."""
    return {path: content for path, content in wanted.items() if not _is(path, content)}


def replace(note: Path, changes: Mapping[Path, Content | None]) -> None:
    """Make the changes, having noted at `note` what was there."""
    if not changes:
        return
    files.write_json(note, {"files": {str(path): _before(path) for path in changes}}, 0o600)
    apply(changes)


def apply(changes: Mapping[Path, Content | None]) -> None:
    """Make the changes, without a way back."""
    for path, content in changes.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write_atomic(path, content.data, content.mode)


def put_back(note: Path) -> bool:
    """Have all as it was before `replace`; False when there is nothing to put back."""
    record = files.read_json(note)
    if record is None:
        return False
    for name, before in record["files"].items():
        path = Path(name)
        if before is None:
            path.unlink(missing_ok=True)
        elif "link" in before:
            files.replace_link(path, before["link"])
        else:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write_atomic(path, base64.b64decode(before["data"]), before["mode"])
    keep(note)
    return True


def keep(note: Path) -> None:
    """The change is final."""
    note.unlink(missing_ok=True)
    if note.parent.is_dir():
        files.sync_folder(note.parent)


def _before(path: Path) -> dict[str, Any] | None:
    if path.is_symlink():
        return {"link": os.readlink(path)}  # noqa: PTH115
    try:
        return {"data": base64.b64encode(path.read_bytes()).decode(), "mode": path.stat().st_mode & 0o777}
    except FileNotFoundError:
        return None


def _is(path: Path, content: Content | None) -> bool:
    if content is None:
        return not path.exists() and not path.is_symlink()
    try:
        state = path.lstat()
        return not path.is_symlink() and state.st_mode & 0o777 == content.mode and path.read_bytes() == content.data
    except OSError:
        return False
