"""From a staged release to a serving one: start it beside the live one, ask it, switch, let the old one finish."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from . import catalogue, files, gap, health, progress, slots, started, static_files, timers, variables, workers
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .record import Live, process_config, read_live
from .run import TAIL
from .supervisor import Supervisor

_WORKER_FAILED = "Exception in worker process"
_GUNICORN_LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[([A-Z]+)\]")

TO_LIVE = "to_live"
"""Among the parts of a release's time: seconds from the start of this program until visitors got the new release."""

DRAIN = 30.0
"""Seconds that the old processes get to finish their requests by default."""


@dataclass
class Clock:
    """How long each part of a command took, in seconds."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] = round(self.parts.get(name, 0.0) + time.monotonic() - began, 3)


def roll_out(
    app: AppPaths,
    supervisor: Supervisor,
    live: Live | None,
    release: str,
    serial: int,
    clock: Clock,
    strategy: str | None = None,
) -> Live:
    """Bring `release` up in the idle slot and make it what serves; by the release's own `strategy` unless one is given.

    Raises `AgentError` with the app's last lines when it does not become healthy; then its slot is stopped and empty
    again, and what serves was not touched (or, with "stop-first", is started again).
    """
    record = catalogue.read(app, release)
    slot = slots.idle_slot(live)
    drain = float(record.get("drain", DRAIN))
    new = Live(slot, release, serial, process_config(app))
    with _room(app, supervisor, live, strategy or record.get("strategy"), drain, clock):
        with clock.part("start"):
            static_files.bridge(app, release, live.release if live else None)
            try:
                _bring_up(app, supervisor, slot, release, record)
            except AgentError:
                if live is None or live.release != release:
                    catalogue.mark_bad(app, release)
                raise
        with clock.part("switch"):
            slots.switch(app, new)
            clock.parts[TO_LIVE] = started.seconds()
    catalogue.mark_good(app, release)
    say(f"{release} is live (slot {slot})")
    if live is not None:
        with clock.part("retire"):
            _retire(app, supervisor, live)
    with clock.part("workers"):
        _change_over(app, supervisor, new)
    return new


def renew_processes(app: AppPaths, supervisor: Supervisor) -> bool:
    """Restart the live release under a changed configuration of its processes: in the other slot, without a gap."""
    live = read_live(app)
    if live is None or live.config == process_config(app):
        return False
    say("the processes' configuration changed: the live release is started anew beside itself")
    live = slots.settle(app, supervisor)
    if live is None:
        return False
    roll_out(app, supervisor, live, live.release, live.serial, Clock())
    return True


def refresh_programs(app: AppPaths, supervisor: Supervisor, which: Iterable[str], within: float) -> None:
    """Have supervisor take up the configuration of these slots' programs, which stops them if it changed."""
    added, changed, removed = supervisor.reread()
    for slot in which:
        name = app.program(slot)
        if name in changed | removed:
            supervisor.drop([name], within)
        if name in changed | added:
            supervisor.add([name])


def _room(
    app: AppPaths, supervisor: Supervisor, live: Live | None, strategy: str | None, drain: float, clock: Clock
) -> AbstractContextManager[None]:
    """The memory that a second release needs: there is enough, or the live one makes room for it."""
    if live is None or strategy != gap.STOP_FIRST:
        return contextlib.nullcontext()
    return gap.stopped(app, supervisor, live, drain, clock.parts)


def _bring_up(app: AppPaths, supervisor: Supervisor, slot: str, release: str, record: dict[str, Any]) -> None:
    rule = health.Rule.read(record["health"])
    progress.hide(variables.load(app, record["env"]).values())  # the app's log may quote them
    name = app.program(slot)
    slots.stop(app, slot, supervisor, DRAIN)
    refresh_programs(app, supervisor, [slot], DRAIN + slots.STOP_MARGIN)
    slots.stop(app, slot, supervisor, DRAIN)  # a program that was just added starts by itself
    slots.fill(app, slot, release, record)
    log = app.log(slot)
    offset = log.stat().st_size if log.is_file() else 0
    try:
        slots.start(app, slot, supervisor)
        began = time.monotonic()
        process = supervisor.process(name)
        first = process.pid if process else 0

        def gone() -> str | None:
            process = supervisor.process(name)
            if process is None or process.state not in ("STARTING", "RUNNING"):
                return "ended"
            return "ended (and was started again)" if first and process.pid != first else None

        health.wait(app.socket(slot), rule, gone)
        say(f"healthy after {time.monotonic() - began:.2f} s: GET {rule.path} gives {rule.status}")
    except BaseException as error:
        lines = _telling(files.last_lines(log, offset, lines=1000, limit=128 * 1024))
        with contextlib.suppress(AgentError):  # without its flag it does not come back, and the next run stops it
            slots.stop(app, slot, supervisor, DRAIN)
            slots.clear(app, slot)
        if isinstance(error, AgentError):
            raise AgentError(f"{release} did not start: {error.message}", [*error.tail, *lines]) from error
        raise


def _change_over(app: AppPaths, supervisor: Supervisor, new: Live) -> None:
    """Workers and timers of the new release in place of the old one's. The release stands, whatever comes of it."""
    try:
        turn = workers.change_over(app, supervisor, new)
        timers.apply(app, new)
        told = workers.watch(turn, supervisor)
    except (AgentError, OSError) as error:
        say(f"warning: the workers and timers are not all those of {new.release}, the next run will see to it: {error}")
        return
    if turn.offsets and not told:
        say(f"workers: {', '.join(turn.offsets)}")
    for line in told:
        say(line)


def _retire(app: AppPaths, supervisor: Supervisor, old: Live) -> None:
    """Have the slot that served before finish its requests and end.

    Nobody waits for that: supervisor sees to its end (`stopwaitsecs`), and who needs the slot next waits for it
    (`slots.settle`). A failure is told, but the release stands: it was decided.
    """
    try:
        slots.wait_queue_empty(app, old.slot)
        slots.ask_to_stop(app, old.slot, supervisor)
    except AgentError as error:
        say(f"warning: the old slot {old.slot} is not told to stop yet, the next release will see to it: {error}")


def _telling(lines: list[str]) -> list[str]:
    """The lines of a log that say why the app did not start.

    That is the first traceback of a worker, if there is one: after it come those of the other workers, and
    gunicorn's own. Else the last lines, without those that tell of workers coming and going.
    """
    for index, line in enumerate(lines):
        if _WORKER_FAILED in line:
            rest = lines[index + 1 :]
            end = next((i for i, other in enumerate(rest) if _GUNICORN_LINE.match(other)), len(rest))
            return rest[:end][-TAIL:]
    told = [line for line in lines if not (match := _GUNICORN_LINE.match(line)) or match[1] != "INFO"]
    return told[-TAIL:]
