"""The journal: one line of JSON for each action that changed something, or failed to. No values of variables."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import files, paths
from .errors import AgentError, MissingUploadError
from .progress import clean, say

Entry = dict[str, Any]

LIVE = ("release", "rollback", "found")
"""Actions whose entries tell, when they went well, what is live from then on."""

_BLOCK = 64 * 1024
_MANY = 200


def machine_journal() -> Path:
    files.folder(paths.state(), 0o755)
    return paths.state() / "journal.jsonl"


@contextmanager
def recorded(path: Path, action: str, **details: object) -> Iterator[Entry]:
    """Write one line about the block to the journal at `path`, also when it fails.

    The block may add to the entry; `entry["skip"] = True` keeps an action that found nothing to do out of it. One that
    lacked its upload is asked for again, and is told then.
    """
    began = time.monotonic()
    entry: Entry = {"at": _now(), "action": action, **{k: v for k, v in details.items() if v is not None}}
    try:
        yield entry
    except MissingUploadError:
        raise
    except BaseException as error:
        reason = error.message if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
        _append(path, {**entry, "ok": False, "error": clean(reason)[:500], "seconds": _since(began)})
        raise
    if not entry.pop("skip", False):
        _append(path, {**entry, "ok": True, "seconds": _since(began)})


def confirm(path: Path, release: str) -> None:
    """Have the journal end with what is live: an agent that is killed once it has switched writes no line about it."""
    if live(path) != release:
        _append(path, {"at": _now(), "action": "found", "release": release, "ok": True})


def live(path: Path) -> str | None:
    """The release that is live according to the journal."""
    told = (e.get("release") for e in reversed(read(path, _MANY)) if e.get("ok") and e.get("action") in LIVE)
    return next(told, None)


def read(path: Path, lines: int) -> list[Entry]:
    """The last entries, oldest first. Half a line (of a power cut) is left out."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max(_BLOCK, lines * 1024)))
            data = file.read()
    except FileNotFoundError:
        return []
    entries: list[Entry] = []
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries[-lines:]


def line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _append(path: Path, entry: Entry) -> None:
    """What is done stays done when a full disk takes no line more about it: the line waits in memory for the next."""
    written, waiting = line(entry) + "\n", _waiting(path)
    try:
        before = waiting.read_text() if waiting.is_file() else ""
        _write(path, before + written)
        waiting.unlink(missing_ok=True)
    except FileNotFoundError:  # the app was just removed, with its journal
        return
    except OSError as error:
        say(f"warning: the journal {path} cannot be written: {error.strerror}; the line waits until it can be")
        with contextlib.suppress(OSError):
            files.folder(waiting.parent, 0o700)
            with waiting.open("a") as file:
                file.write(written)


def _write(path: Path, lines: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = (("\n" if torn else "") + lines).encode()
        if os.write(descriptor, data) < len(data):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _waiting(path: Path) -> Path:
    """Under /run, which is no disk: gone after a reboot."""
    return paths.volatile() / f"journal-{path.parent.name}.jsonl"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
