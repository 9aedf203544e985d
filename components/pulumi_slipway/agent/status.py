"""How an app is, for people."""

from __future__ import annotations

from typing import Any

from . import catalogue, certificate, claim, files, programs, request
from .errors import AgentError
from .facts import agent_digest
from .history import state_of
from .paths import SLOTS, AppPaths
from .record import read_live, serving
from .request import Document
from .supervisor import Process, Supervisor

_RELEASES = 20


def status(document: Document) -> dict[str, Any]:
    """What serves, what could, and how the processes are."""
    app = AppPaths(request.app_name(document))
    claim.require(app, document)
    live = read_live(app)
    releases = [
        {
            "id": entry.id,
            "staged": entry.staged,
            "live_at": entry.good,
            "state": state_of(entry, live.release if live else None),
        }
        for entry in catalogue.all_of(app)[:_RELEASES]
    ]
    return {
        "app": app.app,
        "agent": agent_digest()[:12],
        "live": live.release if live else None,
        "slot": live.slot if live else None,
        "serial": live.serial if live else 0,
        "serving": serving(app),
        "stands_still": _stands_still(app),
        "processes": _processes(app),
        "programs": programs.states(app, live),
        "releases": releases,
        "certificate_ends": certificate.not_after(app.app),
    }


def _stands_still(app: AppPaths) -> str | None:
    """The machine that its data are carried to, or were; None: it serves."""
    note = files.read_json(app.hold)
    return None if note is None else str(note["to"]["name"])


def _processes(app: AppPaths) -> dict[str, str]:
    supervisor = Supervisor(timeout=5)
    try:
        found: dict[str, Process | None] = {slot: supervisor.process(app.program(slot)) for slot in SLOTS}
    except AgentError as error:
        return {"error": error.message}
    return {slot: process.state if process else "unknown" for slot, process in found.items()}
