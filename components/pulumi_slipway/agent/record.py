"""What is live: one small file whose replacement is the moment of a release, and the link that nginx follows."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from . import files, paths
from .errors import AgentError
from .paths import SLOTS, AppPaths


@dataclass(frozen=True)
class Live:
    """What serves: a slot, the release in it, and the serial of the request that put it there."""

    slot: str
    release: str
    serial: int
    config: str
    """Digest of the configuration of its processes when they were started."""


def read_live(app: AppPaths) -> Live | None:
    """What is live according to the record; None before the first release."""
    record = files.read_json(app.live_record)
    if record is None:
        return None
    if record.get("slot") not in SLOTS:
        raise AgentError(f"{app.live_record} is damaged (slot {record.get('slot')!r})")
    return Live(str(record["slot"]), str(record["release"]), int(record["serial"]), str(record.get("config", "")))


def write_live(app: AppPaths, live: Live) -> None:
    record = {"slot": live.slot, "release": live.release, "serial": live.serial, "config": live.config}
    files.write_json(app.live_record, record)


def process_config(app: AppPaths) -> str:
    """A digest of all that the processes of a slot are started with, besides their release."""
    digest = hashlib.sha256()
    for name in (f"/etc/supervisor/conf.d/{app.app}.conf", f"/etc/slipway/apps/{app.app}/gunicorn.conf.py"):
        path = paths.rooted(name)
        digest.update(path.read_bytes() if path.is_file() else b"")
        digest.update(b"\0")
    return digest.hexdigest()


def serving(app: AppPaths) -> str | None:
    """The slot that nginx uses at this moment."""
    try:
        slot = os.readlink(app.run_live)  # noqa: PTH115 (its text)
    except OSError:
        return None
    return slot if slot in SLOTS else None
