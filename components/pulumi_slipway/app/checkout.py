"""An application's source as it is in a commit of its repository: the working tree is neither read nor changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from .archive import ArchiveError, checkouts

_KEEP_DAYS = 30


def check_out(folder: Path, ref: str) -> Path:
    """The folder that holds what `folder` holds in the commit that `ref` (branch, tag or commit) names.

    The files are those of a fresh checkout, so that a release of a commit is the same as one of a clean working tree.
    Raises `ArchiveError` where there is no such commit, or the folder is not in it.
    """
    if not folder.is_dir():
        raise ArchiveError(f"path: {os.fspath(folder)!r} is not a folder; give the folder of your application")
    if _git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise ArchiveError(
            f"ref: {ref!r} cannot be looked up: {os.fspath(folder)!r} is in no git work tree; "
            "leave ref out to release the folder as it is"
        )
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if not commit:
        raise ArchiveError(
            f"ref: {ref!r} names no commit that the repository of {os.fspath(folder)!r} has; `git fetch` brings those "
            "of others, whose branches are named as origin/main"
        )
    place = (_git(folder, "rev-parse", "--show-prefix") or "").strip("/")
    _refuse_submodules(folder, commit, place)
    whole = _checked_out(folder, commit)
    if not (whole / place).is_dir():
        raise ArchiveError(f"path: {place!r} is not in the commit {commit[:12]} that ref {ref!r} names")
    return whole / place


def _refuse_submodules(folder: Path, commit: str, place: str) -> None:
    """Their files are not in the commit, and a release without them would not be the application."""
    listed = _git(folder, "ls-tree", "-r", "-z", "--full-tree", commit, *([f"{place}/"] if place else [])) or ""
    for entry in listed.split("\0"):
        if entry.startswith("160000 "):
            raise ArchiveError(
                f"ref: {entry.partition(chr(9))[2]} is a submodule, whose files the commit {commit[:12]} does not "
                "hold; check the commit out with its submodules, and leave ref out"
            )


def _checked_out(folder: Path, commit: str) -> Path:
    """All files of the commit, in the user's cache; made in one step, so that two runs do no harm."""
    cache = checkouts()
    place = cache / commit
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget_old(cache)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            files = Path(scratch) / "files"
            files.mkdir()
            _must(folder, index, "read-tree", commit)
            _must(folder, index, "checkout-index", "--all", f"--prefix={files}/")
            try:
                files.rename(place)
            except OSError:
                if not place.is_dir():  # else another run was quicker
                    raise
    os.utime(place)
    return place


def _forget_old(cache: Path) -> None:
    limit = time.time() - _KEEP_DAYS * 86400
    for path in cache.iterdir():
        if path.stat().st_mtime < limit:
            shutil.rmtree(path, ignore_errors=True)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, without the end of its line; None when it fails."""
    done = _run(folder, {}, *arguments)
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None


def _must(folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
    # with --prefix, git takes the folder that it runs in for that of the whole tree
    top = Path(_git(folder, "rev-parse", "--show-toplevel") or folder)
    done = _run(top, environment, *arguments)
    if done.returncode != 0:
        raise ArchiveError(f"ref: git {arguments[0]} failed: {done.stderr.strip()}")


def _run(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", os.fspath(folder), *arguments]
    try:
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
        )
    except FileNotFoundError:
        raise ArchiveError("ref: git is not installed; leave ref out to release the folder as it is") from None
