"""Apps that stand still: while their data are carried to another machine, and for good once they are there.

`hold.json` in an app's folder says so, also after a reboot: nginx answers 503 in its place, supervisor does not know
its programs, and no process of its user is left. So nobody writes to its data.

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
from pathlib import Path
from typing import Any

from . import catalogue, claim, files, health, nginx, paths, request, slots, tree, undo, users
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import MACHINE, app_lock, held
from .paths import SLOTS, AppPaths
from .progress import say
from .record import read_live
from .request import Document
from .run import tool
from .supervisor import Supervisor
from .undo import Content

LEASE = 900.0
"""Seconds after which an app serves again whose carrying run is not heard of any more."""

RETRY_AFTER = 60
"""Seconds after which visitors are asked to come again."""

_STOP_WITHIN = 90.0
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
                    _stop(app)
                found = _extent(app)
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
        undo.put_back(app.hold_undo)
        app.hold.unlink()
        say(f"{app.app} serves again: its data were not carried to {note['to']['name']}")
    else:
        _watch()


# ----------------------------------------------------------------------------------------------------- standing still


def _stop(app: AppPaths) -> None:
    """Nobody is let in, those inside finish, and nothing of the app runs. Can be run again at any point."""
    undo.put_back(app.site_undo)
    supervisor = Supervisor()
    _close_door(app)
    live = read_live(app)
    if live is not None:
        slots.wait_queue_empty(app, live.slot)
    for slot in SLOTS:  # the flags go first: nothing must bring a slot back
        app.start_flag(slot).unlink(missing_ok=True)
    _, _, removed = supervisor.reread()
    supervisor.drop(sorted(_slots(app) | _of(app, removed)), _stop_within(app))
    user = users.own(app.app)
    if user is not None:
        users.end_processes(user)
    files.sync_filesystem(app.root)


def _close_door(app: AppPaths) -> None:
    """nginx says that it will not be long; supervisor forgets the app's programs, those of a later boot included."""
    supervisor = paths.rooted("/etc/supervisor/conf.d") / f"{app.app}.conf"
    record = files.read_json(app.site_record) or {}
    sites = [path for path in record.get("files", {}) if path.startswith("/etc/nginx/sites-enabled/")]
    names = _names(record)
    if not names or not sites:
        _replace(app, {supervisor: None})
        return
    sign = Content(_sign(app, names).encode())
    _replace(app, {supervisor: None, paths.rooted(sites[0]): sign})
    try:
        nginx.test()
        nginx.reload()
    except AgentError as error:  # a file of somebody else's; then visitors get an error that says less
        say(f"warning: visitors are not told that {app.app} will be back: {error}")
        undo.put_back(app.hold_undo)
        _replace(app, {supervisor: None})


def _replace(app: AppPaths, changes: dict[Path, Content | None]) -> None:
    """What was there is noted once only: a second time it would be our own."""
    if app.hold_undo.exists():
        undo.apply(undo.differing(changes))
    else:
        undo.replace(app.hold_undo, changes)


def _names(site: dict[str, Any]) -> list[str]:
    subject = site.get("subject", {})
    addresses = [f"[{address}]" if ":" in address else address for address in subject.get("addresses", ())]
    return [*subject.get("names", ()), *addresses]


def _sign(app: AppPaths, names: list[str]) -> str:
    """The site while the app stands still."""
    return f"""\
# Written by Slipway while the data of {app.app} are carried to another machine.
server {{
    include /etc/nginx/slipway/listen-80.conf;
    include /etc/nginx/slipway/listen-443.conf;
    include /etc/nginx/slipway/tls.conf;
    ssl_certificate /etc/slipway/tls/{app.app}/cert.pem;
    ssl_certificate_key /etc/slipway/tls/{app.app}/key.pem;
    server_name {" ".join(names)};
    server_tokens off;
    access_log /var/log/nginx/{app.app}.access.log;
    error_log /var/log/nginx/{app.app}.error.log;
    default_type text/plain;
    add_header Retry-After {RETRY_AFTER} always;
    add_header Cache-Control no-store always;
    return 503 "This site is being moved to another machine. Please try again in a moment.\\n";
}}
"""


def _extent(app: AppPaths) -> tree.Extent:
    left_out: list[str] = []
    if not app.shared.is_dir():
        return tree.Extent("", 0, 0)
    found = tree.extent(app.shared.resolve(), users.own(app.app), left_out)
    for name in left_out[:10]:
        say(f"{app.shared}/{name} is no file, folder or link: it stays here")
    return found


# ------------------------------------------------------------------------------------------------------ serving again


def _serve_again(app: AppPaths, note: dict[str, Any]) -> None:
    """Have all as it was before the app stood still. Can be run again at any point."""
    with recorded(app.journal, "resume"):
        # first of all no run may take it for standing still any more
        files.write_json(app.hold, {**note, "token": "", "left": False})
        undo.put_back(app.hold_undo)
        if users.own(app.app) is not None and app.site_record.exists():
            supervisor = Supervisor()
            added, _, _ = supervisor.reread()
            supervisor.add(sorted(_of(app, added)))
            _wait_until_healthy(app, supervisor)
            nginx.test()
            nginx.reload()
        app.hold.unlink()
        files.sync_folder(app.root)
        say(f"{app.app} serves again")


def _wait_until_healthy(app: AppPaths, supervisor: Supervisor) -> None:
    """Visitors are let in when they get an answer; or, with a warning, when it is certain that they get none."""
    live = slots.settle(app, supervisor)
    if live is None:
        return
    try:
        rule = health.Rule.read(catalogue.read(app, live.release)["health"])
        health.wait(app.socket(live.slot), rule, lambda: None)
    except AgentError as error:
        say(f"warning: {app.app} was started again, but is not healthy: {error}")


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


def _slots(app: AppPaths) -> set[str]:
    return {app.program(slot) for slot in SLOTS}


def _of(app: AppPaths, programs: set[str]) -> set[str]:
    return {name for name in programs if name.startswith(f"{app.app}-")}


def _stop_within(app: AppPaths) -> float:
    live = read_live(app)
    record = files.read_json(app.release(live.release) / "release.json") if live is not None else None
    return max(_STOP_WITHIN, float((record or {}).get("drain", 0)) + 2 * slots.STOP_MARGIN)


def _is_over(app: AppPaths) -> bool:
    """The time of the note is that of the last sign of life."""
    return time.time() > app.hold.stat().st_mtime + LEASE


def _watch() -> None:
    """Have `lapse` run each minute; it ends that itself."""
    if tool(["systemctl", "show", "--property=ActiveState", "--value", f"{_TIMER}.timer"]) == "active":
        return
    command = ["systemd-run", "--quiet", f"--unit={_TIMER}", "--on-active=60", "--on-unit-active=60"]
    tool([*command, "--timer-property=AccuracySec=5s", str(paths.agent_link()), "lapse"])
