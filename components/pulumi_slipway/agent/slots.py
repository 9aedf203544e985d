"""The two slots of an app, and which of them is live.

`live.json` is the one truth: replacing it is the moment of a release. The links that nginx and people follow, the
start flags and what supervisor runs are derived from it, and `settle` brings them in line again after anything:
a reboot, a power cut, an agent killed between two steps.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from . import catalogue, files, journal, ports, timers, users, workers
from .paths import SLOTS, AppPaths, other_slot
from .progress import say
from .record import Live, read_live, serving, write_live
from .run import tool
from .supervisor import Supervisor

_PAUSE = 0.05
_LONGEST_QUEUE = 10.0
"""Seconds that connections may wait in the queue of a slot that nginx has left."""

STOP_MARGIN = 20.0
"""Seconds that supervisor may need to see the end of a program, on top of the program's own time."""


def prepare_run(app: AppPaths) -> None:
    """The folders under /run: root's own, but for those of the sockets, which nginx may enter and nobody else."""
    user = users.require(app.app)
    web = users.require("www-data")
    files.folder(app.run.parent, 0o755)
    files.folder(app.run, 0o755)
    for slot in SLOTS:
        files.folder(app.run_slot(slot), 0o755)
        files.folder(app.sockets(slot), 0o2750, user.uid, web.gid)


def fill(app: AppPaths, slot: str, release: str, record: dict[str, Any]) -> None:
    """Let a stopped slot be `release`: its code, environment, variables and static files."""
    place = files.folder(app.slots / slot)
    for name, target in (
        ("code", app.release(release) / "code"),
        ("venv", app.venvs / record["venv"]),
        ("env", app.envs / record["env"]),
        ("release.json", app.release(release) / "release.json"),
    ):
        files.replace_link(place / name, target, durable=False)
    files.sync_folder(place)
    link_static(app, slot)
    app.socket(slot).unlink(missing_ok=True)
    if record["web"]["kind"] == "own":
        ports.assign(app, slot)


def link_static(app: AppPaths, slot: str) -> None:
    """The slot's static files, for nginx. Under /run, so it is made again at boot."""
    place = app.run_slot(slot) / "static"
    static = (app.slots / slot / "code").resolve().parent / "static"
    if static.is_dir():
        files.replace_link(place, static)
    else:
        place.unlink(missing_ok=True)


def clear(app: AppPaths, slot: str) -> None:
    """Let a stopped slot be nothing."""
    (app.run_slot(slot) / "static").unlink(missing_ok=True)
    for name in ("code", "venv", "env", "release.json"):
        (app.slots / slot / name).unlink(missing_ok=True)


def start(app: AppPaths, slot: str, supervisor: Supervisor) -> None:
    app.start_flag(slot).touch(mode=0o644)
    supervisor.start(app.program(slot))


def ask_to_stop(app: AppPaths, slot: str, supervisor: Supervisor) -> None:
    """The flag goes first: a supervisor that restarts just now must not bring the slot back."""
    app.start_flag(slot).unlink(missing_ok=True)
    supervisor.ask_to_stop(app.program(slot))


def stop(app: AppPaths, slot: str, supervisor: Supervisor, within: float) -> None:
    ask_to_stop(app, slot, supervisor)
    supervisor.wait_stopped(app.program(slot), within + STOP_MARGIN)


def switch(app: AppPaths, live: Live) -> None:
    """Make `live` what serves. Before the first rename nothing has changed, after it everything is decided."""
    # made beforehand, so that nothing but a rename is left to be done after the decision
    link = app.run / f".live.{live.slot}"
    link.unlink(missing_ok=True)
    link.symlink_to(live.slot)
    write_live(app, live)
    link.replace(app.run_live)
    files.replace_link(app.live_link, Path("slots") / live.slot)


def rebuild(app: AppPaths) -> Live | None:
    """Everything under /run that follows from the record, and the workers that supervisor starts by itself. It needs no
    supervisor and starts nothing."""
    prepare_run(app)
    live = read_live(app)
    workers.note(app, live)
    for slot in SLOTS:
        if (app.slots / slot / "code").is_symlink():
            link_static(app, slot)
    if live is not None:
        app.start_flag(live.slot).touch(mode=0o644)
        files.replace_link(app.run_live, live.slot)
        files.replace_link(app.live_link, Path("slots") / live.slot)
        catalogue.confirm_good(app, live.release)
        journal.confirm(app.journal, live.release)
    return live


def wait_queue_empty(app: AppPaths, slot: str) -> None:
    """After a switch, until no connection that nginx made before it waits to be accepted by the old slot.

    A connection in the queue of a socket is lost with the socket; one that was accepted is answered.
    """
    deadline = time.monotonic() + _LONGEST_QUEUE
    while True:
        time.sleep(_PAUSE)
        if _queued(app.socket(slot)) == 0 or time.monotonic() > deadline:
            return


def _queued(socket_path: Path) -> int:
    """How many connections wait to be accepted (`ss` shows them as Recv-Q of a listening socket)."""
    for line in tool(["ss", "--unix", "--listening", "--no-header"]).splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] == str(socket_path):
            return int(fields[2])
    return 0


def settle(app: AppPaths, supervisor: Supervisor, drain: float = 30.0) -> Live | None:
    """Bring all in line with the record: finish an interrupted switch, stop what an interrupted start left over, wait
    for the end of a slot that was left (`drain` seconds, or what its release says).

    Returns what is live. The caller holds the app's lock.
    """
    before = serving(app)
    live = rebuild(app)
    if live is None:
        app.run_live.unlink(missing_ok=True)
        idle = list(SLOTS)
    else:
        idle = [other_slot(live.slot)]
        name = app.program(live.slot)
        process = supervisor.process(name)
        if process is not None and process.state == "STOPPING":  # by a run that was interrupted: it is to stay
            supervisor.wait_stopped(name, _drain(app, live.slot, drain) + STOP_MARGIN)
            process = supervisor.process(name)
        if process is not None and not process.alive:
            say(f"the live slot {live.slot} was not running: starting it")
            supervisor.start(name)
        if before is not None and before != live.slot:
            say(f"finished an interrupted switch to {live.release}")
            wait_queue_empty(app, before)
    for slot in idle:
        process = supervisor.process(app.program(slot))
        if process is not None and process.alive:
            within = _drain(app, slot, drain)
            if app.start_flag(slot).exists():
                say(f"stopping the slot {slot}, which is not live")
            elif process.state == "STOPPING":
                say(f"the slot {slot} still answers what it was asked: waiting for it, {within:.0f} s at most")
            stop(app, slot, supervisor, within)
        app.start_flag(slot).unlink(missing_ok=True)
        clear(app, slot)
    with contextlib.suppress(OSError):
        for leftover in app.run.glob(".live.*"):
            leftover.unlink()
    workers.change_over(app, supervisor, live)
    timers.apply(app, live)
    return live


def _drain(app: AppPaths, slot: str, default: float) -> float:
    """Seconds that the release in a slot may take to finish its requests."""
    return float((files.read_json(app.slots / slot / "release.json") or {}).get("drain", default))


def idle_slot(live: Live | None) -> str:
    return SLOTS[0] if live is None else other_slot(live.slot)
