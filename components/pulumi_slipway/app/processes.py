"""What an app runs besides its web server: workers, and commands at certain times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NotRequired, TypedDict

from .schedule import ScheduleError, calendar_events

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")
_LEAST_MEMORY = 16
_LONGEST_STOP = 3600
_MOST_WORKERS = 64
"""All their processes together."""
_MOST_TIMERS = 24


class WorkerArgs(TypedDict):
    """A program that runs as long as its release is live, started again when it ends."""

    command: NotRequired[str]
    """A command of bash, in the app's folder with its environment; default: that of the Procfile's line."""
    count: NotRequired[int]
    """How many of it run; default: 1. With 0 a worker of the Procfile does not run."""
    stop_signal: NotRequired[str]
    """What it is told to end by: "TERM" (default), "INT", "QUIT", "HUP", "USR1" or "USR2"."""
    stop_timeout: NotRequired[int]
    """Seconds that it gets then to finish its job; default: 60."""
    overlap: NotRequired[bool]
    """Whether those of a new release start while those of the old one finish their jobs; default: true."""
    memory: NotRequired[int]
    """MiB that each may have; one that takes more is killed and started again. Default: no limit."""


class CronArgs(TypedDict):
    """A command that runs at certain times (in the server's own time zone), never twice at once."""

    schedule: NotRequired[str]
    """cron's five fields, @daily and its like, or a calendar event of systemd; default: the Procfile's."""
    command: NotRequired[str]
    """A command of bash, in the app's folder with its environment; default: the Procfile's."""
    missed: NotRequired[str]
    """What becomes of times at which the server was off: "skip" (default), or "run" (once, when it is back)."""
    timeout: NotRequired[int]
    """Seconds after which it is ended; default: 3600."""
    memory: NotRequired[int]
    """MiB that it may have; default: no limit."""


@dataclass(frozen=True)
class Worker:
    name: str
    command: str
    count: int
    stop_signal: str
    stop_timeout: int
    overlap: bool
    memory: int | None


@dataclass(frozen=True)
class Timer:
    name: str
    schedule: tuple[str, ...]
    """Calendar events of systemd."""
    command: str
    missed: str
    timeout: int
    memory: int | None


@dataclass(frozen=True)
class Processes:
    """As they are to run."""

    workers: tuple[Worker, ...] = ()
    timers: tuple[Timer, ...] = ()

    def document(self) -> dict[str, Any]:
        """As the server is told of them."""
        return {
            "workers": [asdict(worker) for worker in self.workers],
            "timers": [{**asdict(timer), "schedule": list(timer.schedule)} for timer in self.timers],
        }


def check_processes(
    workers: Mapping[str, WorkerArgs],
    cron: Mapping[str, CronArgs],
    found_workers: Mapping[str, str] | None = None,
    found_timers: Mapping[str, tuple[str, str]] | None = None,
) -> Processes:
    """The arguments over what the source says: name → command of each worker, name → (schedule, command) of each timer.

    Raises `ValueError` naming the argument, its value and the remedy.
    """
    commands, times = found_workers or {}, found_timers or {}
    return _unique(
        Processes(
            tuple(
                worker
                for name in sorted({*commands, *workers})
                if (worker := _worker(name, workers.get(name, {}), commands.get(name))).count
            ),
            tuple(_timer(name, cron.get(name, {}), *times.get(name, (None, None))) for name in sorted({*times, *cron})),
        )
    )


def check_memory(key: str, value: int | None) -> int | None:
    """MiB; None: no limit."""
    if value is not None and value < _LEAST_MEMORY:
        raise ValueError(f"{key}: {value!r} is too small; give at least {_LEAST_MEMORY} (MiB), or leave it out")
    return value


def _worker(name: str, args: WorkerArgs, found: str | None) -> Worker:
    key = f"workers.{_name('workers', name)}"
    worker = Worker(
        name=name,
        command=_text(f"{key}.command", args.get("command", found)),
        count=args.get("count", 1),
        stop_signal=args.get("stop_signal", "TERM").removeprefix("SIG"),
        stop_timeout=args.get("stop_timeout", 60),
        overlap=args.get("overlap", True),
        memory=check_memory(f"{key}.memory", args.get("memory")),
    )
    if not 0 <= worker.count <= _MOST_WORKERS:
        raise ValueError(f"{key}.count: {worker.count!r} is none of 0 to {_MOST_WORKERS}")
    if worker.stop_signal not in _SIGNALS:
        raise ValueError(f"{key}.stop_signal: {args.get('stop_signal')!r} is none of {', '.join(_SIGNALS)}")
    if not 1 <= worker.stop_timeout <= _LONGEST_STOP:
        raise ValueError(f"{key}.stop_timeout: {worker.stop_timeout!r} is none of 1 to {_LONGEST_STOP} (seconds)")
    return worker


def _timer(name: str, args: CronArgs, schedule: str | None, command: str | None) -> Timer:
    key = f"cron.{_name('cron', name)}"
    text = _text(f"{key}.schedule", args.get("schedule", schedule))
    try:
        events = tuple(calendar_events(text))
    except ScheduleError as error:
        raise ValueError(f"{key}.schedule: {text!r} is no schedule: {error}") from None
    timer = Timer(
        name=name,
        schedule=events,
        command=_text(f"{key}.command", args.get("command", command)),
        missed=args.get("missed", "skip"),
        timeout=args.get("timeout", 3600),
        memory=check_memory(f"{key}.memory", args.get("memory")),
    )
    if timer.missed not in ("run", "skip"):
        raise ValueError(
            f"{key}.missed: {timer.missed!r} is neither run (once, when the server is back) nor skip (the default)"
        )
    if timer.timeout < 1:
        raise ValueError(f"{key}.timeout: {timer.timeout!r} is too small; give at least 1 (second)")
    return timer


def _unique(processes: Processes) -> Processes:
    workers = {worker.name for worker in processes.workers}
    for timer in processes.timers:
        if timer.name in workers:
            raise ValueError(f"cron.{timer.name}: a worker has that name, too; give one of them another")
    count = sum(worker.count for worker in processes.workers)
    if count > _MOST_WORKERS:
        raise ValueError(f"workers: {count} processes are too many for a server; {_MOST_WORKERS} can be kept")
    if len(processes.timers) > _MOST_TIMERS:
        raise ValueError(f"cron: {len(processes.timers)} commands are too many; {_MOST_TIMERS} can be kept")
    return processes


def _name(key: str, name: str) -> str:
    if not _NAME.fullmatch(name) or name == "web":
        raise ValueError(
            f"{key}: {name!r} cannot name a process; use 1 to 32 lower-case letters, digits, '_' and '-', beginning "
            "with a letter, and not web, which is the web server"
        )
    return name


def _text(key: str, value: str | None) -> str:
    if value is None or not value.strip():
        raise ValueError(f"{key}: missing; set it, since the source has no line for it")
    return value.strip()
