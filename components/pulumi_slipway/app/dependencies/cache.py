"""What was found out about packages before, in the user's cache: it costs nothing the next time."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

_KEEP_DAYS = 30


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read(key: str) -> Any:
    """What was written under `key`; None: nothing, or longer ago than it is believed."""
    path = _folder() / f"{key}.json"
    try:
        if path.stat().st_mtime < time.time() - _KEEP_DAYS * 86400:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(key: str, value: Any) -> None:
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - _KEEP_DAYS * 86400:
            path.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
        json.dump(value, file)
    Path(file.name).replace(folder / f"{key}.json")


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "packages"
