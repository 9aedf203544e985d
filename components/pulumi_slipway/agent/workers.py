"""The workers of an app in supervisor: those of the live release run, and no others.

A file of supervisor holds the programs of one slot, one for each process. Only the live slot has such a file, so that
the right ones start after a reboot. Programs of a slot that is not live any more were told to stop; supervisor forgets
them when they have ended, which nobody has to wait for: jobs come from a queue, and the new ones take the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import files, processes, undo
from .paths import SLOTS, AppPaths
from .processes import LONGEST_STOP, Processes, Worker
from .progress import say
from .record import Live
from .supervisor import Supervisor
from .undo import Content

_STAYS_UP = 2
"""Seconds after which a worker counts as running."""
_LAUNCH = 3.0
"""Seconds more that one may take to come that far."""
_PAUSE = 0.05
_MARGIN = 20.0
"""Seconds that supervisor may need to see the end of a program, on top of the program's own time."""


def contents(app: AppPaths, live: Live | None) -> dict[Path, Content | None]:
    """supervisor's files of the workers as they are to be while `live` is."""
    found = processes.wanted(app, live)
    if found is None:
        return {}
    wanted: dict[Path, Content | None] = {app.programs(slot): None for slot in SLOTS}
    if live is not None and any(worker.count for worker in found.workers):
        text = "; Written by Slipway: the workers of the live release.\n" + "".join(
            _program(app, live.slot, worker, process) for worker in found.workers for process in worker.processes
        )
        wanted[app.programs(live.slot)] = Content(text.encode())
    return wanted


def is_noted(app: AppPaths, live: Live | None) -> bool:
    """Whether the files are as they are to be."""
    return not undo.differing(contents(app, live))


def note(app: AppPaths, live: Live | None) -> bool:
    """Have the files as they are to be, for the next start of supervisor; whether any changed."""
    changes = undo.differing(contents(app, live))
    undo.apply(changes)
    return bool(changes)


@dataclass
class Turn:
    """Workers that were started, to be looked at a little later."""

    app: AppPaths
    slot: str = ""
    began: float = field(default_factory=time.monotonic)
    offsets: dict[str, int] = field(default_factory=dict)
    """Of each process: how long its log was before."""


def change_over(app: AppPaths, supervisor: Supervisor, live: Live | None) -> Turn:
    """Have the workers of `live` run, and no others. The others get their stop signal first, and their time."""
    turn, known, wanted = Turn(app), _known(app, supervisor), processes.wanted(app, live)
    if wanted is None or not (known or wanted.workers):
        return turn
    note(app, live)
    added, differing, removed = supervisor.reread()
    added, differing, removed = (_of(app, names) for names in (added, differing, removed))
    for name in sorted(removed | differing):
        supervisor.ask_to_stop(name)
    if differing:
        supervisor.drop(sorted(differing), LONGEST_STOP + _MARGIN)
    if live is not None:
        turn.slot = live.slot
        _start(turn, supervisor, wanted, known - removed - differing, removed)
    _forget(supervisor, removed)
    return turn


def stop(app: AppPaths, supervisor: Supervisor) -> None:
    """Stop all workers, and wait until they have finished their jobs; `change_over` starts them again."""
    known = sorted(_known(app, supervisor))
    for name in known:
        supervisor.ask_to_stop(name)
    for name in known:
        supervisor.wait_stopped(name, LONGEST_STOP + _MARGIN)


def watch(turn: Turn, supervisor: Supervisor) -> list[str]:
    """Wait until the started ones have stayed up for a while; what is to be told of those that did not.

    That is no reason to take a release back: it serves, and supervisor goes on trying.
    """
    waiting = set(turn.offsets)
    failed: dict[str, str] = {}
    deadline = turn.began + _STAYS_UP + _LAUNCH
    while waiting:
        for process in sorted(waiting):
            found = supervisor.process(turn.app.program(turn.slot, process))
            state = "UNKNOWN" if found is None else found.state
            if state not in ("STARTING", "RUNNING"):
                failed[process] = state
            if state != "STARTING":
                waiting.discard(process)
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE if waiting else 0)
    told = []
    for process, state in failed.items():
        log = turn.app.log(turn.slot, process)
        told.append(f"warning: the worker {process} does not stay up ({state.lower()}); its last lines ({log}):")
        told += [f"    {line}" for line in files.last_lines(log, turn.offsets[process], lines=10)]
    return told


def states(app: AppPaths, supervisor: Supervisor, live: Live | None) -> dict[str, dict[str, object]]:
    """Each worker that is to run: its state in supervisor, and whether that is as wanted."""
    found: dict[str, dict[str, object]] = {}
    wanted = processes.wanted(app, live)
    for worker in wanted.workers if wanted is not None else ():
        for process in worker.processes:
            seen = supervisor.process(app.program(live.slot, process)) if live is not None else None
            state = seen.state if seen else "UNKNOWN"
            found[process] = {"state": state.lower(), "as_wanted": state in ("STARTING", "RUNNING")}
    return found


def programs(app: AppPaths, names: Iterable[str]) -> set[str]:
    """Those among the programs of supervisor that are of this app, its web servers included."""
    names = set(names)
    return _of(app, names) | ({app.program(slot) for slot in SLOTS} & names)


def _start(turn: Turn, supervisor: Supervisor, wanted: Processes, there: set[str], stopping: set[str]) -> None:
    """Start those that do not run. One that must not overlap waits for the end of those it follows."""
    app = turn.app
    for worker in sorted(wanted.workers, key=lambda worker: not worker.overlap):
        if not worker.overlap:
            for name in stopping:
                if _worker_of(name) == worker.name:
                    say(f"waiting for {name} to end: the worker {worker.name} does not overlap")
                    supervisor.wait_stopped(name, LONGEST_STOP + _MARGIN)
        for process in worker.processes:
            name = app.program(turn.slot, process)
            found = supervisor.process(name) if name in there else None
            if found is not None and found.state in ("STARTING", "RUNNING", "BACKOFF"):
                continue
            log = app.log(turn.slot, process)
            turn.offsets[process] = log.stat().st_size if log.is_file() else 0
            if found is None:
                supervisor.add([name])
            else:
                supervisor.wait_stopped(name, LONGEST_STOP + _MARGIN)
            supervisor.start(name)


def _forget(supervisor: Supervisor, names: Iterable[str]) -> None:
    """Those of them that have ended."""
    for name in names:
        found = supervisor.process(name)
        if found is not None and not found.alive:
            supervisor.drop([name], 0)


def _known(app: AppPaths, supervisor: Supervisor) -> set[str]:
    return _of(app, supervisor.processes())


def _of(app: AppPaths, names: Iterable[str]) -> set[str]:
    beginnings = tuple(f"{app.program(slot)}." for slot in SLOTS)
    return {name for name in names if name.startswith(beginnings)}


def _worker_of(program: str) -> str:
    return program.split(".")[1]


def _program(app: AppPaths, slot: str, worker: Worker, process: str) -> str:
    return f"""
[program:{app.program(slot, process)}]
command=/usr/local/lib/slipway/agent slot {app.app} {slot} {process}
directory=/
autostart=true
autorestart=unexpected
exitcodes=42
startsecs={_STAYS_UP}
startretries=1000000
stopsignal={worker.stop_signal}
stopwaitsecs={worker.stop_timeout:.0f}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={app.log(slot, process)}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""
