"""Which commit a source is of: told to people and to the server's journal, and never part of what is compared.

One content may be that of several commits, and is the same release then. So what is found out is noted beside the
archive, where the program that brings it looks it up, and no input of a resource holds it. Two checkouts of one source
have a note each: it is found by the folder that the program and what it starts both run in, the project's. A program
that runs elsewhere (Pulumi's Automation API can have that) finds the last one.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .archive import note_of


@dataclass(frozen=True)
class Origin:
    """Where a source comes from, as git tells it; all empty where there is no git."""

    commit: str = ""
    subject: str = ""
    dirty: bool = False
    """There are changes in the folder that no commit holds."""


def find_origin(folder: Path, ref: str | None = None) -> Origin:
    """The commit of `folder`, or the one that `ref` names, of which nothing is dirty."""
    told = _git(folder, "log", "-1", "--format=%H%x00%s", ref or "HEAD", "--")
    commit, _, subject = (told or "").strip().partition("\0")
    if not commit:
        return Origin()
    return Origin(commit, subject, ref is None and bool(_git(folder, "status", "--porcelain", "--", ".")))


def note_origin(content: str, origin: Origin) -> None:
    """Keeps, for this machine, where the archive with that content was last made from."""
    for path in _notes(content):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(json.dumps(asdict(origin)))


def message(content: str) -> dict[str, Any]:
    """What the server is told of who releases what, and when."""
    origin = _noted(content)
    return {
        **who_and_when(),
        "commit": origin.commit or None,
        "subject": origin.subject or None,
        "dirty": origin.dirty,
    }


def _noted(content: str) -> Origin:
    for path in _notes(content):
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Origin(**json.loads(path.read_text()))
    return Origin()


def _notes(content: str) -> tuple[Path, Path]:
    """That of the folder we run in, and the last one of all."""
    here = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:12]
    return note_of(f"{content}.{here}"), note_of(content)


def who_and_when() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return {
        "who": f"{user}@{socket.gethostname()}",
        "when": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def commits_between(folder: Path, old: str, new: str) -> int | None:
    """How many commits lead from `old` to `new`; negative: back to an earlier one. None: git does not know both, or
    neither descends from the other."""
    told = _git(folder, "rev-list", "--count", "--left-right", f"{old}...{new}")
    if told is None:
        return None
    behind, ahead = (int(number) for number in told.split())
    if behind and ahead:
        return None
    return ahead or -behind


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None when it fails, or is not there: then there is less to tell, and nothing else."""
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(folder), *arguments], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
