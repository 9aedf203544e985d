"""Does a server's memory hold two releases of an app at once, as "start-first" needs for some seconds?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from ..observe import Observation
from .checked import CheckedApp

WORKER_MB = 256
"""What a worker is reckoned with; the template of gunicorn's configuration uses the same figures."""
SYSTEM_MB = 128
"""What the rest of the server needs."""


def advice(app: str, strategy: str, facts: Mapping[str, Any]) -> str | None:
    """What to tell about the memory in `facts`; None: nothing."""
    memory = facts.get("memory_mb")
    needed = 2 * WORKER_MB + SYSTEM_MB
    if strategy != "start-first" or not isinstance(memory, int) or memory >= needed:
        return None
    return (
        f"{app}: the server has {memory} MB of memory, and two releases side by side may not fit (one worker each, "
        f"reckoned with {WORKER_MB} MB, and {SYSTEM_MB} MB for the rest: {needed} MB). With strategy: stop-first a "
        "release needs room for one, and some seconds without service."
    )


def tell(app: CheckedApp, observed: Observation, resource: pulumi.Resource) -> None:
    """Warns where two releases do not fit."""
    text = advice(app.name, app.strategy, observed["facts"])
    if text:
        pulumi.log.warn(text, resource)
