"""At boot, before nginx and supervisor start: /run is empty, and files may be half changed."""

from __future__ import annotations

from typing import Any

from . import claim, hold, slots, timers
from .errors import AgentError
from .lock import app_lock, held
from .progress import say
from .request import Document
from .site import recover


def boot(_document: Document) -> dict[str, Any]:
    """Bring back, for every app, what the record says is live. One broken app does not keep the others down."""
    live: dict[str, str | None] = {}
    failed = []
    for app in claim.claimed():
        try:
            with held(app_lock(app.app), "boot", wait=10):
                if recover(app):
                    say(f"put back the files of an interrupted change of {app.app}'s site")
                hold.at_boot(app)
                found = slots.rebuild(app)
                timers.apply(app, found)
                live[app.app] = found.release if found else None
        except (AgentError, OSError) as error:
            say(f"{app.app}: {error}")
            failed.append(app.app)
    if failed:
        raise AgentError(f"these apps could not be brought back: {', '.join(failed)}")
    return {"live": live}
