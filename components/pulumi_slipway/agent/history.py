"""What happened on this server, and what could be gone back to: for people."""

from __future__ import annotations

import contextlib
from typing import Any

from . import catalogue, claim, files, journal, processes, programs, progress, request, variables
from .errors import AgentError
from .manifest import manifest
from .paths import SLOTS, AppPaths
from .record import read_live
from .request import Document

_RELEASES = 20
_JOURNAL = 200
"""Lines of the journal in which the times of a release's steps are looked for."""
_ANSWER = 7000
"""Characters of an answer: it is one line of less than 8 KB."""


def releases(document: Document) -> dict[str, Any]:
    """The releases that are on this server, the one that went live last first: who made each of them live, from which
    commit, when, and how long that took."""
    app = AppPaths(request.app_name(document))
    claim.require(app, document)
    live = read_live(app)
    took = {
        entry["release"]: entry["seconds_of"]
        for entry in journal.read(app.journal, _JOURNAL)
        if entry.get("ok") and entry.get("seconds_of") and "release" in entry
    }
    found = [
        {
            "id": entry.id,
            "state": state_of(entry, live.release if live else None),
            "staged": entry.staged,
            "live_at": entry.good,
            "message": entry.message,
            "seconds": took.get(entry.id),
        }
        for entry in catalogue.all_of(app)[:_RELEASES]
    ]
    return {"app": app.app, "live": live.release if live else None, "releases": fitting(found)}


def journal_lines(document: Document) -> dict[str, Any]:
    """The last `lines` (20) entries of an app's journal; without an app, of the machine's."""
    lines = max(1, min(200, request.integer(document, "lines", 20)))
    place = journal.machine_journal() if document.get("app") is None else AppPaths(request.app_name(document)).journal
    return {"entries": fitting(journal.read(place, lines)[::-1])[::-1]}


def logs(document: Document) -> dict[str, Any]:
    """Says the last `lines` (50) that the live release's web server wrote, or another `process` of it; without a live
    one, those of both slots."""
    app = AppPaths(request.app_name(document))
    lines = max(1, min(5000, request.integer(document, "lines", 50)))
    claim.require(app, document)
    live = read_live(app)
    if live is not None:
        with contextlib.suppress(AgentError):  # its folder was removed by hand; what it wrote is there
            progress.hide(variables.load(app, catalogue.read(app, live.release)["env"]).values())
    process = request.text(document, "process", processes.WEB)
    if process != processes.WEB:
        for line in programs.last_lines(app, live, process, lines):
            progress.say(line)
        return {"app": app.app, "release": live.release if live else None}
    for slot in SLOTS if live is None else (live.slot,):
        for line in files.last_lines(app.log(slot), lines=lines, limit=lines * 1000):
            progress.say(line)
    return {"app": app.app, "release": live.release if live else None}


def source(document: Document) -> dict[str, Any]:
    """What is in the source of the live release, for who is about to release another one; nothing where that is not
    known any more."""
    app = AppPaths(request.app_name(document))
    live = read_live(app)
    record = (files.read_json(app.release(live.release) / "release.json") if live else None) or {}
    archive = app.archives / f"{record.get('archive')}.tar.gz"
    return manifest(archive) if archive.is_file() else {}


def state_of(entry: catalogue.Entry, live: str | None) -> str:
    """What became of a release, in one word or two."""
    if entry.id == live:
        return "live"
    if entry.bad:
        return "bad"
    return "good" if entry.good is not None else "never live"


def fitting(entries: list[dict[str, Any]], limit: int = _ANSWER) -> list[dict[str, Any]]:
    """As many of the first entries as one line of answer holds."""
    kept = []
    for entry in entries:
        limit -= len(journal.line(entry)) + 4
        if limit < 0:
            break
        kept.append(entry)
    return kept
