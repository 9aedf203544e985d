"""What is on this server, for a program that is about to decide: quick, without a lock, and it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import certificate, database, files, journal, paths, request
from .errors import AgentError
from .facts import agent_digest, facts
from .paths import AppPaths
from .record import Live, read_live, serving
from .request import Document


def observe(document: Document) -> dict[str, Any]:
    """Facts, and of each app in `apps`: the live release with its serial, and the site's files as they are; of each
    of `databases` (`engine/name`): whether it is on this server. With `serving`: whether any app serves here."""
    names = [request.check_app_name(name) for name in request.texts(document, "apps")]
    return {
        "agent": agent_digest(),
        "facts": facts(),
        "apps": {name: _app(AppPaths(name)) for name in names},
        **_databases(request.texts(document, "databases")),
        **({"serving": _anything_serves()} if request.flag(document, "serving") else {}),
    }


def _anything_serves() -> bool:
    from .claim import records

    return any(_app(app)["live"] for app, record in records() if record.get("owner") is not None)


def _databases(asked: list[str]) -> dict[str, Any]:
    """Nothing when nothing is asked: their part of the agent is loaded for those only that have one."""
    if not asked:
        return {}
    from .database_server import observed

    return {"databases": observed(asked)}


def _app(app: AppPaths) -> dict[str, Any]:
    claim = _claim(app)
    if claim is None:
        return {
            "claimed": False,
            "claim_serial": 0,
            "serial": 0,
            "live": None,
            "slot": None,
            "database": None,
            "site": {"serial": 0, "files": {}},
        }
    try:
        live = read_live(app)
    except AgentError:
        live = None
    # A release that was interrupted is no state to be content with: the next run finishes it, and writes it down.
    settled = live is not None and serving(app) == live.slot and journal.live(app.journal) == live.release
    return {
        "claimed": True,
        "claim_serial": claim.get("serial", 0),
        "serial": live.serial if live else 0,
        "live": live.release if live and settled else None,
        "slot": live.slot if live else None,
        "database": _database(app, live),
        "site": _site(app),
    }


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


def _site(app: AppPaths) -> dict[str, Any]:
    record = files.read_json(app.site_record) or {}
    found = {name: _digest(paths.rooted(name)) for name in record.get("files", {})}
    # Files the agent made itself are only told when they are not as it made them: then the site has to run again.
    found |= {
        name: digest
        for name, wanted in record.get("snippets", {}).items()
        if (digest := _digest(paths.rooted(name))) != wanted
    }
    if record and certificate.not_after(app.app) is None:
        found["certificate"] = ""
    if app.site_undo.exists():
        found["interrupted"] = ""
    return {
        "serial": record.get("serial", 0),
        "files": found,
        "certificate_ends": certificate.not_after(app.app),
    }


def _digest(path: Path) -> str:
    """SHA-256 of a file; empty when it is missing, or has become something else."""
    try:
        return "" if path.is_symlink() else files.sha256_file(path)
    except OSError:
        return ""
