"""Do the connections that an app may open fit into what its database admits? Pure functions."""

from __future__ import annotations

from .memory import SYSTEM_MB, WORKER_MB

POOL = 15
"""Connections that one asynchronous worker opens by SQLAlchemy's defaults (a pool of 5, and 10 on top of it)."""


def worker_count(cpus: int, memory_mib: int, concurrency: str = "", max_workers: int | None = None) -> int:
    """How many workers gunicorn starts on such a machine: what `templates/gunicorn.conf.py.j2` computes there."""
    if concurrency.isdigit() and int(concurrency) > 0:
        return int(concurrency)
    fitting = (memory_mib - SYSTEM_MB) // WORKER_MB
    return max(1, min(cpus + 1, fitting, *([max_workers] if max_workers is not None else [])))


def pool_advice(app: str, connections: int, workers: int, each: int, slots: int = 2) -> str:
    """What to say when the app may open more connections than `connections`; empty when they fit, or when nothing is
    known. `each`: of one worker; `slots`: how many releases run at once while one takes over from the other."""
    needed = workers * each * slots
    if connections < 1 or needed <= connections:
        return ""
    fitting = max(1, connections // (each * slots))
    during = " while a release takes over" if slots > 1 else ""
    remedy = f"set WEB_CONCURRENCY to {fitting} in the app's environment, " if fitting < workers else ""
    return (
        f"{app}: its database admits {connections} connections, and the app may open {needed}{during} ({workers} "
        f"workers × {each} × {slots} releases): {remedy}take a larger database, or put a pooler in front of it"
    )
