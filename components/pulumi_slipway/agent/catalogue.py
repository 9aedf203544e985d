"""The releases on this server: what each consists of, which were good, and which of them may go."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files
from .errors import AgentError
from .paths import AppPaths

_INCOMING = "/home"
"""Uploaded archives lie under it; nothing else is ever removed there."""


@dataclass(frozen=True)
class Entry:
    """One release on the disk."""

    id: str
    staged: float
    """Unix time."""
    good: float | None
    """When it last went live; None: never."""
    bad: bool
    """It was rolled back from, or did not start again."""
    record: dict[str, Any]
    message: dict[str, Any]
    """Who released it last, and of which commit it is; empty when that is not known."""


def read(app: AppPaths, release: str) -> dict[str, Any]:
    """What a staged release consists of."""
    record = files.read_json(app.release(release) / "release.json")
    if record is None:
        raise AgentError(f"release {release} is not on this server")
    return record


def amend(app: AppPaths, release: str, record: dict[str, Any], terms: dict[str, Any]) -> dict[str, Any]:
    """The record of a staged release with these terms, which a later start, rollback or removal goes by."""
    amended = {**record, **terms}
    if amended != record:
        files.write_json(app.release(release) / "release.json", amended)
    return amended


def all_of(app: AppPaths) -> list[Entry]:
    """Every staged release, the one that went live last first."""
    found = []
    for place in app.releases.iterdir() if app.releases.is_dir() else ():
        record = files.read_json(place / "release.json")
        if record is None:
            continue
        good = files.read_json(place / "good.json")
        found.append(
            Entry(
                place.name,
                float(record.get("staged", 0)),
                None if good is None else float(good["at"]),
                (place / "bad").exists(),
                record,
                files.read_json(place / "message.json") or {},
            )
        )
    return sorted(found, key=lambda entry: (entry.good or 0.0, entry.staged), reverse=True)


def note_message(app: AppPaths, release: str, message: dict[str, Any]) -> None:
    """Who releases it, and of which commit it is: one content may be that of several."""
    if message:
        files.write_json(app.release(release) / "message.json", message)


def mark_good(app: AppPaths, release: str) -> None:
    """It served: it may be rolled back to. It is the last one to, also for a clock that was set back since."""
    latest = max((entry.good for entry in all_of(app) if entry.good is not None), default=0.0)
    files.write_json(app.release(release) / "good.json", {"at": max(time.time(), latest + 0.001)})
    unmark_bad(app, release)


def confirm_good(app: AppPaths, release: str) -> None:
    """Of the live one: an agent that is killed once it has switched does not come to mark it."""
    if app.release(release).is_dir() and not (app.release(release) / "good.json").exists():
        mark_good(app, release)


def mark_bad(app: AppPaths, release: str) -> None:
    """It was rolled back from, or did not start: a later rollback must not choose it."""
    with contextlib.suppress(FileNotFoundError):  # removed by hand: nobody chooses it anyway
        (app.release(release) / "bad").touch()


def is_bad(app: AppPaths, release: str) -> bool:
    return (app.release(release) / "bad").exists()


def unmark_bad(app: AppPaths, release: str) -> None:
    (app.release(release) / "bad").unlink(missing_ok=True)


def previous_good(app: AppPaths, live: str) -> str | None:
    """The release that a rollback from `live` goes to."""
    for entry in all_of(app):
        if entry.id != live and entry.good is not None and not entry.bad:
            return entry.id
    return None


def prune(app: AppPaths, live: str, keep: int) -> list[str]:
    """Remove all but `keep` releases that served (the live one among them), and what only the others used.

    The release before the live one stays whatever `keep` says. One that never served is of no use once another
    went live.
    """
    entries = all_of(app)
    kept = {live}
    before = previous_good(app, live)
    if before is not None:
        kept.add(before)
    for entry in entries:
        if entry.good is not None and len(kept) < max(1, keep):
            kept.add(entry.id)
    removed = [entry for entry in entries if entry.id not in kept]
    for entry in removed:
        files.discard(app.release(entry.id), app.work)
    staying = [entry.record for entry in entries if entry.id in kept]
    archives = {f"{record['archive']}.tar.gz" for record in staying}
    _remove_all_but(app.archives, archives, app.work)
    _remove_all_but(app.venvs, {record["venv"] for record in staying}, app.work)
    if app.pythons.is_dir():
        _remove_all_but(app.pythons, {str(record.get("interpreter")) for record in staying}, app.work)
    _remove_all_but(app.envs, {record["env"] for record in staying}, app.work)
    for entry in removed:
        if entry.record["archive"] not in {record["archive"] for record in staying}:
            forget_upload(entry.record.get("incoming"))
    return [entry.id for entry in removed]


def _remove_all_but(folder: Path, names: set[str], bin_folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.name not in names:
            files.discard(entry, bin_folder)


def forget_upload(incoming: object) -> bool:
    """Remove an uploaded archive that is of no use (any more); whether it is gone. The folder is not root's own."""
    if not isinstance(incoming, (str, Path)) or not str(incoming).endswith(".tar.gz"):
        return False
    path = Path(incoming)
    if path.parent.resolve().is_relative_to(_INCOMING) and path.is_file() and not path.is_symlink():
        path.unlink(missing_ok=True)
    return not path.exists()
