"""Whether a release and its environment are still as they were made.

A seal is a digest of every entry's kind, owner, mode, size, time of change and inode: looking at those of thousands of
files takes milliseconds. Where they differ, a release is compared by the content of its files, since a backup that
was put back, say, changes none; an environment, which may hold gigabytes, counts as damaged then, and is made anew.
Folders of compiled modules are passed over: Python writes into them whenever root runs something there.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import files, variables
from .errors import AgentError
from .paths import AppPaths

_SEAL = ".slipway-seal"
_COMPLETE = ".slipway-complete"
_PASSED_OVER = ("__pycache__", _SEAL, _COMPLETE)
_TOLD = 10
"""Damaged files that are named."""


def seal_release(place: Path) -> None:
    """Note how the code in the folder of a release is; nothing changes it from here on. The caller syncs."""
    code = place / "code"
    entries = list(_entries(code))
    contents = {name: _content(code, name, state) for name, state in entries}
    files.write_json(place / "manifest.json", {"files": contents}, durable=False)
    files.write_json(place / "seal.json", {"seal": _digest(entries)}, durable=False)


def seal_environment(venv: Path) -> None:
    """Note how an environment is, wherever it is renamed to afterwards."""
    files.write_json(venv / _SEAL, {"seal": _digest(_entries(venv))})


def damage(app: AppPaths, record: dict[str, Any]) -> list[str]:
    """What of a staged release is not as it was made, by name; empty: nothing. One without a seal is of a time before
    there were any."""
    found = _release_damage(app.release(str(record["release"])))
    if environment_is_damaged(app.venvs / str(record["venv"])):
        found.append(f"venvs/{record['venv']}")
    if not variables.is_intact(app, str(record["env"])):
        found.append(f"envs/{record['env']}")
    return found


def environment_is_damaged(venv: Path) -> bool:
    """A missing one is; one without a seal is of a time before there were any."""
    if not (venv / "bin").is_dir():
        return True
    noted = _noted(venv / _SEAL)
    return noted is not None and noted != _digest(_entries(venv))


def usable_environment(app: AppPaths, name: str) -> str:
    """The name under which an environment called `name` may be used, or made: one that was damaged after it was made
    stays in its place, since what serves may stand on it."""
    candidate, number = name, 1
    while (app.venvs / candidate / _COMPLETE).is_file() and environment_is_damaged(app.venvs / candidate):
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _release_damage(place: Path) -> list[str]:
    code = place / "code"
    if not code.is_dir():
        return ["code"]
    noted = _noted(place / "seal.json")
    entries = list(_entries(code))
    if noted is None or noted == _digest(entries):
        return []
    try:
        sealed = (files.read_json(place / "manifest.json") or {}).get("files", {})
    except AgentError:
        return ["manifest.json"]
    found = {name: _content(code, name, state) for name, state in entries}
    differing = sorted(name for name in sealed.keys() | found.keys() if sealed.get(name) != found.get(name))
    return [f"code/{name}" if name else "code" for name in differing[:_TOLD]]


def _noted(path: Path) -> str | None:
    try:
        return str((files.read_json(path) or {}).get("seal")) if path.exists() else None
    except AgentError:
        return ""


def _content(root: Path, name: str, state: os.stat_result) -> list[Any]:
    """What an entry is, whatever its times and inode are."""
    path = root / name
    kind = stat.S_IFMT(state.st_mode)
    if kind == stat.S_IFLNK:
        return ["link", os.readlink(path)]  # noqa: PTH115
    owned = [stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid]
    if kind == stat.S_IFREG:
        try:
            return ["file", *owned, files.sha256_file(path)]
        except OSError:
            return ["unreadable"]
    return ["folder" if kind == stat.S_IFDIR else "other", *owned]


def _digest(entries: Iterator[tuple[str, os.stat_result]] | list[tuple[str, os.stat_result]]) -> str:
    return hashlib.sha256("\0".join(sorted(map(_line, entries))).encode(errors="surrogateescape")).hexdigest()


def _line(entry: tuple[str, os.stat_result]) -> str:
    name, state = entry
    told = f"{name}\0{state.st_mode} {state.st_uid} {state.st_gid}"
    if stat.S_ISDIR(state.st_mode):  # a folder's own time and size are told by its entries
        return told
    return f"{told} {state.st_size} {state.st_mtime_ns} {state.st_ino}"


def _entries(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry of a tree by its path in it, `root` itself as ""; links are not followed."""
    try:
        yield "", root.lstat()
        yield from _below(os.fspath(root), "")
    except FileNotFoundError:  # it goes while it is looked at: what was seen will differ
        return


def _below(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _PASSED_OVER:
                continue
            yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, f"{prefix}{entry.name}/")
