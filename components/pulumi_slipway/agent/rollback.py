"""Back to an earlier release: its code, environment, variables and processes. The database stays as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import catalogue, claim, files, hold, request, rollout, seal, slots
from . import message as told
from .errors import AgentError
from .journal import recorded
from .lock import app_lock, held
from .paths import AppPaths
from .progress import say
from .record import Live, read_live
from .request import Document
from .rollout import Clock
from .site import recover
from .supervisor import Supervisor


def rollback(document: Document) -> dict[str, Any]:
    """Make `release`, or else the release before the live one, live again. The one that is left counts as bad."""
    app = AppPaths(request.app_name(document))
    message = told.read(document)
    asked = request.release_id(document) if document.get("release") is not None else None
    with (
        held(app_lock(app.app), f"rollback of {app.app}"),
        recorded(app.journal, "rollback", **message) as entry,
    ):
        claim.require(app, document)
        hold.lift(app)
        recover(app)
        supervisor = Supervisor()
        clock = Clock()
        live = slots.settle(app, supervisor)
        if live is None:
            raise AgentError(f"{app.app} has no live release to go back from")
        target = asked or catalogue.previous_good(app, live.release)
        if target is None:
            raise AgentError(
                f"there is no earlier good release of {app.app} on this server: run `pulumi up` of an earlier commit"
            )
        entry.update(release=target, previous=live.release)
        damaged = seal.damage(app, catalogue.read(app, target))
        if damaged:
            raise AgentError(
                f"{target} is not as it was made ({', '.join(damaged)}): run `pulumi up` of its commit, which mends "
                "it, or name another release"
            )
        if target == live.release:
            say(f"{target} is live already")
            entry["skip"] = True
        else:
            say(f"going back from {live.release} to {target}")
            say("the database stays as it is: no migration is run backwards")
            returning = catalogue.is_bad(app, target)
            # by what was last said of this machine: the earlier release may be of a time when nothing was
            strategy = (files.read_json(app.release(live.release) / "release.json") or {}).get("strategy")
            entry["seconds_of"] = clock.parts
            # to one that was left before: that was the mistake, and not what is left now
            with contextlib.nullcontext() if returning else _left(app, live):
                rollout.roll_out(app, supervisor, live, target, live.serial, clock, strategy)
        return {"app": app.app, "release": target, "previous": live.release, "seconds": clock.parts}


@contextmanager
def _left(app: AppPaths, live: Live) -> Iterator[None]:
    """The release is left for good, unless the block fails: marked beforehand, so that a kill does not forget it."""
    catalogue.mark_bad(app, live.release)
    try:
        yield
    except BaseException:
        if read_live(app) == live:
            catalogue.unmark_bad(app, live.release)
        raise
