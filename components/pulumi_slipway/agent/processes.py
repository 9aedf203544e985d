"""What a release runs besides its web server: workers, and commands at certain times.

Each process has a name of its own, which it finds in SLIPWAY_PROCESS: `web`, `mail.1` and `mail.2` for a worker `mail`
that runs twice, `digest` for a timer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import files, limit, request
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .record import Live
from .request import Document
from .run import tool

WEB = "web"

STOP_TIMEOUT = 60.0
"""Seconds that a worker gets by default to finish its job when it is told to stop."""

LONGEST_STOP = 3600.0
"""The most that it may be given."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")
_MISSED = ("run", "skip")
_MOST_WORKERS = 64
_MOST_TIMERS = 24
_LEAST_MEMORY = 16


@dataclass(frozen=True)
class Worker:
    """A program that runs beside the web server as long as its release is live."""

    name: str
    command: str
    count: int
    stop_signal: str
    stop_timeout: float
    """Seconds from the signal to SIGKILL."""
    overlap: bool
    """At a switch the new ones start while those of the old release finish their jobs."""
    memory: int | None
    """MiB that each may have; None: no limit."""

    @classmethod
    def read(cls, document: Document) -> Worker:
        name = _name(document, "worker")
        found = cls(
            name=name,
            command=_command(document, f"worker {name}"),
            count=request.integer(document, "count", 1),
            stop_signal=request.text(document, "stop_signal", "TERM"),
            stop_timeout=request.number(document, "stop_timeout", STOP_TIMEOUT),
            overlap=request.flag(document, "overlap", True),
            memory=read_memory(document, f"worker {name}"),
        )
        if not 0 <= found.count <= _MOST_WORKERS:
            raise AgentError(f"worker {name}: a count of {found.count} is none of 0 to {_MOST_WORKERS}")
        if found.stop_signal not in _SIGNALS:
            raise AgentError(f"worker {name}: stop_signal {found.stop_signal!r} is none of {', '.join(_SIGNALS)}")
        if not 1 <= found.stop_timeout <= LONGEST_STOP:
            raise AgentError(f"worker {name}: a stop_timeout of {found.stop_timeout} is none of 1 to 3600 (seconds)")
        return found

    @property
    def processes(self) -> list[str]:
        return [f"{self.name}.{number}" for number in range(1, self.count + 1)]


@dataclass(frozen=True)
class Timer:
    """A command that runs at certain times, of the release that is live then."""

    name: str
    schedule: tuple[str, ...]
    """Calendar events as systemd writes them; it runs at each of any of them."""
    command: str
    missed: str
    """"run": once, when the server is back after a time at which it was off; "skip": not until the next time."""
    timeout: float
    """Seconds after which it is ended."""
    memory: int | None
    """MiB; None: no limit."""

    @classmethod
    def read(cls, document: Document) -> Timer:
        name = _name(document, "timer")
        found = cls(
            name=name,
            schedule=tuple(request.texts(document, "schedule")),
            command=_command(document, f"timer {name}"),
            missed=request.text(document, "missed", "skip"),
            timeout=request.number(document, "timeout", 3600),
            memory=read_memory(document, f"timer {name}"),
        )
        if found.missed not in _MISSED:
            raise AgentError(f"timer {name}: missed {found.missed!r} is neither {' nor '.join(_MISSED)}")
        if found.timeout < 1:
            raise AgentError(f"timer {name}: timeout must be at least 1 (second)")
        if not found.schedule:
            raise AgentError(f"timer {name}: it has no schedule")
        for event in found.schedule:
            # this text becomes a line of a unit
            if not event.isprintable() or "%" in event or not event.strip():
                raise AgentError(f"timer {name}: schedule {event!r} is no calendar event")
        return found


@dataclass(frozen=True)
class Processes:
    """All of a release but its web server."""

    workers: tuple[Worker, ...] = ()
    timers: tuple[Timer, ...] = ()

    @classmethod
    def read(cls, document: Document) -> Processes:
        """From a request, or from the record of a release, which may be of a time when there were none."""
        found = cls(
            tuple(Worker.read(entry) for entry in request.mappings(document, "workers")),
            tuple(Timer.read(entry) for entry in request.mappings(document, "timers")),
        )
        names = [WEB, *(worker.name for worker in found.workers), *(timer.name for timer in found.timers)]
        for name in names:
            if names.count(name) > 1:
                raise AgentError(f"request: two processes have the name {name!r}")
        if sum(worker.count for worker in found.workers) > _MOST_WORKERS or len(found.timers) > _MOST_TIMERS:
            raise AgentError(f"request: more than {_MOST_WORKERS} workers in all, or {_MOST_TIMERS} timers")
        return found

    def record(self) -> dict[str, Any]:
        """The form in which `read` takes it."""
        return {
            "workers": [asdict(worker) for worker in self.workers],
            "timers": [{**asdict(timer), "schedule": list(timer.schedule)} for timer in self.timers],
        }

    @property
    def longest_stop(self) -> float:
        """Seconds after which every worker that was told to stop has ended, or was killed."""
        return max((worker.stop_timeout for worker in self.workers), default=0.0)

    def worker(self, process: str) -> Worker | None:
        """Whose `process` (as `mail.2`) is."""
        return next((worker for worker in self.workers if process in worker.processes), None)

    def timer(self, name: str) -> Timer | None:
        return next((timer for timer in self.timers if timer.name == name), None)


def wanted(app: AppPaths, live: Live | None) -> Processes | None:
    """What is to run while `live` is: nothing as long as the app stands still (see `hold.py`). None: that is not known,
    since the release was removed by hand; then what runs goes on."""
    note = files.read_json(app.hold)
    if live is None or (note is not None and (note["token"] or note["left"])):
        return Processes()
    record = files.read_json(app.release(live.release) / "release.json")
    return None if record is None else Processes.read(record)


def check(processes: Processes, web: Mapping[str, Any]) -> None:
    """What only this server knows: raises `AgentError` when its systemd does not understand a calendar event, and tells
    of limits of memory that its kernel does not keep."""
    for timer in processes.timers:
        for event in timer.schedule:
            try:
                tool(["systemd-analyze", "calendar", "--", event])
            except AgentError as error:
                raise AgentError(f"timer {timer.name}: schedule {event!r} is no calendar event", error.tail) from error
    limited = [WEB] if web["memory"] else []
    limited += [worker.name for worker in processes.workers if worker.memory]
    limited += [timer.name for timer in processes.timers if timer.memory]
    if limited and not limit.possible():
        say(
            f"warning: the memory of {', '.join(limited)} is not limited: the kernel of this server does not do that "
            "(on a Raspberry Pi, add cgroup_enable=memory to the line in /boot/firmware/cmdline.txt)"
        )


def read_memory(document: Document, what: str) -> int | None:
    """The `memory` (MiB) of a process in a request."""
    if document.get("memory") is None:
        return None
    memory = request.integer(document, "memory")
    if memory < _LEAST_MEMORY:
        raise AgentError(f"{what}: a memory of {memory} MiB is too small; give at least {_LEAST_MEMORY}")
    return memory


def _name(document: Document, what: str) -> str:
    name = request.text(document, "name")
    if not _NAME.fullmatch(name):
        raise AgentError(
            f"{what}: {name!r} is no name for a process: use 1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter"
        )
    return name


def _command(document: Document, what: str) -> str:
    command = request.text(document, "command").strip()
    if not command or "\0" in command:
        raise AgentError(f"{what}: it has no command")
    return command
