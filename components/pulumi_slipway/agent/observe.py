"""What is on this server, for a program that is about to decide: quick, without a lock, and it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import certificate, database, files, guard, journal, paths, programs, request, seal
from .errors import AgentError
from .facts import agent_digest, facts
from .paths import AppPaths
from .record import Live, process_config, read_live, serving
from .request import Document
from .supervisor import Supervisor

_LATELY = 50
"""Entries of the journal among which the last release or rollback is looked for."""
_LARGEST = 32 * 1024
"""Bytes of a file that are told."""


def observe(document: Document) -> dict[str, Any]:
    """Facts, and what of the machine is not as it was made. Of each app in `apps`: the live release with its serial,
    what of it is not as it was made, and the site's files as they are. Of each of `databases` (`engine/name`): whether
    it is on this server. With `serving`: whether any app serves here.

    `wanted` has digests of files by path: what such a file holds is told when it is another one.
    """
    names = [request.check_app_name(name) for name in request.texts(document, "apps")]
    wanted = request.mapping(document, "wanted", {})
    return {
        "agent": agent_digest(),
        "facts": facts(),
        "machine": guard.differing() if names else [],
        "apps": {name: _app(AppPaths(name), wanted) for name in names},
        **_databases(request.texts(document, "databases")),
        **({"serving": _anything_serves()} if request.flag(document, "serving") else {}),
    }


def _anything_serves() -> bool:
    from .claim import records

    return any(_is_settled(app, _live(app)) for app, record in records() if record.get("owner") is not None)


def _databases(asked: list[str]) -> dict[str, Any]:
    """Nothing when nothing is asked: their part of the agent is loaded for those only that have one."""
    if not asked:
        return {}
    from .database_server import observed

    return {"databases": observed(asked)}


def _app(app: AppPaths, wanted: Document) -> dict[str, Any]:
    claim = _claim(app)
    if claim is None:
        return {
            "claimed": False,
            "claim_serial": 0,
            "serial": 0,
            "live": None,
            "slot": None,
            "database": None,
            "damage": [],
            "source": {},
            "last": {},
            "site": {"serial": 0, "files": {}, "edited": [], "texts": {}},
        }
    live = _live(app)
    return {
        "claimed": True,
        "claim_serial": claim.get("serial", 0),
        "serial": live.serial if live else 0,
        "live": live.release if live and _is_settled(app, live) else None,
        "slot": live.slot if live else None,
        "database": _database(app, live),
        "damage": _damage(app, live) if live else [],
        "source": _source(app, live) if live else {},
        "last": _last_change(app, live) if live else {},
        "site": _site(app, live, wanted),
    }


def _live(app: AppPaths) -> Live | None:
    try:
        return read_live(app)
    except AgentError:
        return None


def _is_settled(app: AppPaths, live: Live | None) -> bool:
    """A release that was interrupted is no state to be content with: the next run finishes it, and writes it down."""
    return (
        live is not None
        and serving(app) == live.slot
        and journal.live(app.journal) == live.release
        and programs.are_noted(app, live)
    )


def _database(app: AppPaths, live: Live | None) -> dict[str, Any] | None:
    try:
        return database.describe(app, live)
    except AgentError:  # a damaged record says nothing
        return None


def _claim(app: AppPaths) -> dict[str, Any] | None:
    """The record of the claim; None for nobody's, which is also a folder of data that was kept after a removal."""
    try:
        record = files.read_json(app.claim)
    except (AgentError, OSError):  # damaged: what needs it will say so
        return {} if app.claim.exists() else None
    return record if record is not None and record.get("owner") is not None else None


def _damage(app: AppPaths, live: Live) -> list[str]:
    """What of the live release is not as it was made, or does not run, by name."""
    try:
        record = files.read_json(app.release(live.release) / "release.json")
    except AgentError:
        record = None
    if record is None:
        return ["code"]
    return [*seal.damage(app, record), *_not_running(app, live)]


def _not_running(app: AppPaths, live: Live) -> list[str]:
    if app.hold.exists():  # it stands still, and is meant to
        return []
    try:
        alive = {name for name, process in Supervisor(timeout=5).processes().items() if process.alive}
        return programs.not_running(app, live, alive)
    except AgentError:
        return ["supervisor, which does not answer"]


def _source(app: AppPaths, live: Live) -> dict[str, Any]:
    """Which source the live release is of, by content and commit, and its variables, by digests under a key of the
    stack: what is about to change can be told from these."""
    try:
        record = files.read_json(app.release(live.release) / "release.json") or {}
        message = files.read_json(app.release(live.release) / "message.json") or {}
    except AgentError:
        return {}
    return {
        "content": record.get("content"),
        "commit": message.get("commit"),
        "variables": {name: record.get("fingerprints", {}).get(name, "") for name in record.get("variables", ())},
    }


def _last_change(app: AppPaths, live: Live) -> dict[str, Any]:
    """How the live release came to be live, as the journal has it."""
    for entry in reversed(journal.read(app.journal, _LATELY)):
        if entry.get("action") in ("release", "rollback") and entry.get("ok") and entry.get("release") == live.release:
            return {key: entry[key] for key in ("action", "at", "who", "previous") if entry.get(key)}
    return {}


def _site(app: AppPaths, live: Live | None, wanted: Document) -> dict[str, Any]:
    record = files.read_json(app.site_record) or {}
    written = record.get("files", {})
    found = {name: _digest(paths.rooted(name)) for name in written}
    edited = [name for name, digest in found.items() if digest != written[name]]
    texts = {name: _text(name) for name, digest in found.items() if digest and digest != wanted.get(name, digest)}
    if record and live is not None and not edited and live.config != process_config(app):
        found["processes"] = ""  # they were started with other files than these
    # Files the agent made itself are only told when they are not as it made them: then the site has to run again.
    snippets = {name: _digest(paths.rooted(name)) for name in record.get("snippets", {})}
    differing = {name: digest for name, digest in snippets.items() if digest != record["snippets"][name]}
    found |= differing
    if record and certificate.not_after(app.app) is None:
        found["certificate"] = ""
    if app.site_undo.exists():
        found["interrupted"] = ""
    return {
        "serial": record.get("serial", 0),
        "files": found,
        "edited": [*edited, *differing],
        "texts": texts,
        "certificate_ends": certificate.not_after(app.app),
    }


def _text(name: str) -> str:
    """What a managed file holds, up to a size that they never have by themselves; none of them holds a secret."""
    try:
        return paths.rooted(name).read_bytes()[:_LARGEST].decode(errors="replace")
    except OSError:
        return ""


def _digest(path: Path) -> str:
    """SHA-256 of a file; empty when it is missing, or has become something else."""
    try:
        return "" if path.is_symlink() else files.sha256_file(path)
    except OSError:
        return ""
