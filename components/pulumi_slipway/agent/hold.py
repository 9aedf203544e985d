"""Apps that stand still: while their data are carried to another machine, and for good once they are there.

`hold.json` in an app's folder says so, also after a reboot; what it means is in `still.py`.

A hold has the token of the run that carries. The last run wins: an older one can neither send data nor end the hold.
It is a lease, too: when its run is not heard of for `LEASE` seconds, the app serves again by itself. Only once the
data are where they are to be does the run have the machine *left*; from then on it serves again when that is asked
for by somebody who knows what became of the data, and not else.
"""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from . import claim, files, paths, request, still, tree
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import MACHINE, app_lock, held
from .paths import AppPaths
from .progress import say
from .request import Document
from .run import tool

LEASE = 900.0
"""Seconds after which an app serves again whose carrying run is not heard of any more."""

_TIMER = "slipway-hold"


def hold(document: Document) -> dict[str, Any]:
    """Let every app of this machine stand still; who they are, and the extent of their data from now on.

    Those that were left for another machine are none of them.
    """
    token, to = request.text(document, "token"), request.mapping(document, "to")
    note = {"token": token, "to": {key: request.text(to, key) for key in ("id", "name")}, "left": False}
    _watch()
    answer: dict[str, Any] = {}
    for app, record in claim.records():
        owner = record.get("owner")
        with _locks(app, f"hold {app.app}"):
            if (files.read_json(app.hold) or {}).get("left"):
                continue
            with recorded(app.journal, "hold", to=note["to"]):
                files.write_json(app.hold, note)
                if owner is not None:
                    still.stop(app)
                found = still.extent(app)
            answer[app.app] = {"owner": owner, "files": tree.measure(app.shared)[0], **found.document()}
            say(f"{app.app} stands still")
    return {"apps": answer}


def resume(document: Document) -> dict[str, Any]:
    """Let the apps serve again that stand still by the run `token`, or by any (without one).

    Apps that were left for another machine stay as they are, unless it is the one named by `left_to`, or with `force`.
    """
    token, left_to = request.optional_text(document, "token"), request.optional_text(document, "left_to")
    force = request.flag(document, "force")
    resumed: list[str] = []
    refused: dict[str, str] = {}
    for app, _ in claim.records():
        with _locks(app, f"resume {app.app}"):
            note = files.read_json(app.hold)
            if note is None:
                continue
            reason = None if force else _objection(app, note, token, left_to)
            if reason is not None:
                say(reason)
                refused[app.app] = reason
                continue
            _serve_again(app, note)
            resumed.append(app.app)
    return {"resumed": resumed, "refused": refused}


def leave(document: Document) -> dict[str, Any]:
    """The data of all apps are where the run `token` was to bring them: from now on these here are not to serve."""
    token = request.text(document, "token")
    with ExitStack() as stack, recorded(machine_journal(), "leave"):
        notes = []
        for app, _ in claim.records():
            stack.enter_context(held(app_lock(app.app), f"leave {app.app}"))
            if not (files.read_json(app.hold) or {}).get("left"):
                notes.append((app, _require(app, token)))
        for app, note in notes:
            files.write_json(app.hold, {**note, "left": True})
    return {"left": [app.app for app, _ in notes]}


def lapse(_document: Document) -> dict[str, Any]:
    """Let apps serve again whose lease is over. Run by a timer while there is a lease."""
    lapsed: list[str] = []
    running = False
    for app, _ in claim.records():
        with _locks(app, "end of a lease"):
            note = files.read_json(app.hold)
            if note is None or note["left"]:
                continue
            if not _is_over(app):
                running = True
                continue
            say(f"nothing was heard of the run that carries the data of {app.app}: it serves again")
            _serve_again(app, note)
            lapsed.append(app.app)
    if not running:
        tool(["systemctl", "stop", f"{_TIMER}.timer"])
    return {"lapsed": lapsed}


def renew(app: AppPaths, token: str) -> None:
    """The run `token` is alive: all its leases begin anew. Raises `AgentError` when `app` is not its any more."""
    _require(app, token)
    for other, _ in claim.records():
        note = files.read_json(other.hold)
        if note is not None and note["token"] == token:
            with contextlib.suppress(FileNotFoundError):
                os.utime(other.hold)


def lift(app: AppPaths, machine: AbstractContextManager[None] | None = None) -> None:
    """Before its stack changes anything about an app: the data are not carried after all, so it serves again.

    The caller holds the app's lock, and passes something empty as `machine` when it holds the machine's, too. Raises
    `AgentError` when the app's data are on another machine by now.
    """
    note = files.read_json(app.hold)
    if note is None:
        return
    if note["left"]:
        raise AgentError(
            f"{_left(app, note)}. Have the server be that one again (generation), or, if nothing was written there "
            "that is to be kept, let this one serve with what it has: "
            "`echo '{\"force\": true}' | sudo /usr/local/lib/slipway/agent resume`"
        )
    say(f"the data of {app.app} are not carried to {note['to']['name']} after all")
    with machine or held(MACHINE, f"resume {app.app}"):
        _serve_again(app, note)


def at_boot(app: AppPaths) -> None:
    """Before nginx and supervisor start: what stood still does so again, unless its lease is over."""
    note = files.read_json(app.hold)
    if note is None or note["left"]:
        return
    if _is_over(app):
        still.put_files_back(app)
        app.hold.unlink()
        say(f"{app.app} serves again: its data were not carried to {note['to']['name']}")
    else:
        _watch()


def _serve_again(app: AppPaths, note: dict[str, Any]) -> None:
    """Can be run again at any point."""
    with recorded(app.journal, "resume"):
        # first of all no run may take it for standing still any more
        files.write_json(app.hold, {**note, "token": "", "left": False})
        still.start(app)
        app.hold.unlink()
        files.sync_folder(app.root)
        say(f"{app.app} serves again")


def _objection(app: AppPaths, note: dict[str, Any], token: str | None, left_to: str | None) -> str | None:
    if token is not None:
        return None if note["token"] == token else f"{app.app}: another run carries its data by now"
    if note["left"] and note["to"]["id"] != left_to:
        return _left(app, note)
    return None


def _require(app: AppPaths, token: str) -> dict[str, Any]:
    note = files.read_json(app.hold)
    if note is None or not note["token"]:
        raise AgentError(f"{app.app} does not stand still any more: somebody had it serve again")
    if note["token"] != token:
        raise AgentError(f"another run has taken over the transfer of {app.app}'s data: this one ends")
    return note


def _left(app: AppPaths, note: dict[str, Any]) -> str:
    return f"the data of {app.app} were carried to the machine {note['to']['name']}: here it does not serve any more"


def _locks(app: AppPaths, what: str) -> ExitStack:
    stack = ExitStack()
    try:
        stack.enter_context(held(app_lock(app.app), what))
        stack.enter_context(held(MACHINE, what))
    except BaseException:
        stack.close()
        raise
    return stack


def _is_over(app: AppPaths) -> bool:
    """The time of the note is that of the last sign of life."""
    return time.time() > app.hold.stat().st_mtime + LEASE


def _watch() -> None:
    """Have `lapse` run each minute; it ends that itself."""
    if tool(["systemctl", "show", "--property=ActiveState", "--value", f"{_TIMER}.timer"]) == "active":
        return
    command = ["systemd-run", "--quiet", f"--unit={_TIMER}", "--on-active=60", "--on-unit-active=60"]
    tool([*command, "--timer-property=AccuracySec=5s", str(paths.agent_link()), "lapse"])
