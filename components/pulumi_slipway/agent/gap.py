"""`strategy: stop-first`: where memory holds one copy of the app, the old release stops before the new one starts.

Visitors get no answer meanwhile. How long that was is told, and kept in the journal.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import catalogue, health, request, slots, workers
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .record import Live, read_live
from .request import Document
from .supervisor import Supervisor

START_FIRST, STOP_FIRST = "start-first", "stop-first"

WITHOUT_SERVICE = "without_service"
"""Among the parts of a release's time: seconds in which visitors got no answer."""

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_SPARED = "-900"


def read_strategy(document: Document) -> str:
    """The `strategy` of a request."""
    strategy = request.text(document, "strategy", START_FIRST)
    if strategy not in (START_FIRST, STOP_FIRST):
        raise AgentError(f"strategy: {strategy!r} is neither {START_FIRST} nor {STOP_FIRST}")
    return strategy


@contextmanager
def stopped(
    app: AppPaths, supervisor: Supervisor, live: Live, drain: float, seconds: dict[str, float]
) -> Iterator[None]:
    """While the block runs, the live release does not. If the block fails, the release is started again.

    Its requests in progress are answered first. `seconds` gets the time without service, also when the block fails.
    """
    say(f"stop-first: {live.release} stops, and nothing answers visitors until another release does")
    with _spared():
        # they first: while they finish their jobs, visitors are served
        workers.stop(app, supervisor)
        slots.ask_to_stop(app, live.slot, supervisor)
        began = time.monotonic()
        try:
            supervisor.wait_stopped(app.program(live.slot), drain + slots.STOP_MARGIN)
            yield
        except BaseException as error:
            trouble = _start_again(app, supervisor, live)
            seconds[WITHOUT_SERVICE] = gone = round(time.monotonic() - began, 3)
            if isinstance(error, AgentError):
                end = trouble or f"{live.release} serves again, after {gone:.1f} s without service"
                raise AgentError(f"{error.message}; {end}", error.tail) from error
            raise
    seconds[WITHOUT_SERVICE] = gone = round(time.monotonic() - began, 3)
    say(f"there was no service for {gone:.1f} s")


def _start_again(app: AppPaths, supervisor: Supervisor, live: Live) -> str | None:
    """Bring back the release that was stopped; what went wrong with that, if anything did."""
    try:
        found = read_live(app)
        if found is not None and found.slot != live.slot:
            return None  # the switch was decided: there is no way back to it
        say(f"starting {live.release} again")
        slots.start(app, live.slot, supervisor)
        rule = health.Rule.read(catalogue.read(app, live.release)["health"])
        health.wait(app.socket(live.slot), rule, lambda: None)
        workers.change_over(app, supervisor, live)
    except (AgentError, OSError) as error:
        return f"and {live.release}, which served before, was not healthy when it was started again: {error}"
    return None


@contextmanager
def _spared() -> Iterator[None]:
    """Memory is short here, and who is killed for it must not be the one program that brings a release back."""
    before = None
    with contextlib.suppress(OSError):  # a container may not
        before = _OOM_SCORE.read_text()
        _OOM_SCORE.write_text(_SPARED)
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                _OOM_SCORE.write_text(before)
