"""What was done to an app's database, noted beside its data: whoever carries them to another machine carries it, too.

`/srv/<app>/shared/.slipway/notes.json` is the app's file, as all of `shared` is: it is read and written with the
app's own rights, and an app that forges it harms nobody but itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import files, users
from .errors import AgentError
from .paths import AppPaths
from .tree import NOTES

_LIMIT = 4 * 1024**2

Note = dict[str, Any]


def identity(record: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """The database of a release in one word; one that the app's own variables name, by a digest of where it is."""
    found = record.get("database") or {"engine": "own", "host": "", "name": ""}
    if found["engine"] != "own":
        return f"{found['engine']}:{found['host']}/{found['name']}"
    try:
        url = urlsplit(variables.get("DATABASE_URL", ""))
        where = f"{url.hostname}:{url.port}{url.path}"
    except ValueError:  # no URL after all
        where = variables["DATABASE_URL"]
    return f"own:{hashlib.sha256(where.encode()).hexdigest()[:16]}"


def of(app: AppPaths, database: str) -> Note:
    """What is noted of a database; nothing of one that was never met."""
    return dict(_read(app)["databases"].get(database, {}))


def write(app: AppPaths, database: str, note: Note) -> None:
    notes = _read(app)
    notes["databases"][database] = note
    _write(app, notes)


def seeded(app: AppPaths) -> list[str]:
    """The persistent paths that were begun with content of a release."""
    return [path for path in _read(app)["seeded"] if isinstance(path, str)]


def write_seeded(app: AppPaths, paths: list[str]) -> None:
    notes = _read(app)
    if notes["seeded"] != paths:
        _write(app, {**notes, "seeded": paths})


def _read(app: AppPaths) -> dict[str, Any]:
    empty: dict[str, Any] = {"databases": {}, "seeded": []}
    with users.acting_as(users.require(app.app)):
        try:
            descriptor = os.open(_path(app), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return empty
        except OSError as error:
            raise _damaged(app, str(error)) from error
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_LIMIT) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    try:
        notes = json.loads(data)
        if not isinstance(notes["databases"], dict) or not isinstance(notes["seeded"], list):
            raise TypeError("other types")  # noqa: TRY301
        if not all(isinstance(note, dict) for note in notes["databases"].values()):
            raise TypeError("other types")  # noqa: TRY301
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(app, str(error)) from error
    return {**empty, **notes}


def _write(app: AppPaths, notes: dict[str, Any]) -> None:
    with users.acting_as(users.require(app.app)):
        files.folder(_path(app).parent, 0o700, os.geteuid(), os.getegid())
        files.write_json(_path(app), notes, 0o600)


def _path(app: AppPaths) -> Path:
    return app.shared / NOTES / "notes.json"


def _damaged(app: AppPaths, why: str) -> AgentError:
    return AgentError(f"{_path(app)} is damaged ({why}): restore it, or move it away, and try again")
