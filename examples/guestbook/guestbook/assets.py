"""Static files: each address carries a digest of the file, so that a browser may keep the file for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask


def init_app(app: Flask) -> None:
    """Add ``?v=<digest>`` to what ``url_for("static", ...)`` answers."""
    folder = Path(app.static_folder or "")

    @cache
    def digest(filename: str) -> str | None:
        path = folder / filename
        return hashlib.sha256(path.read_bytes()).hexdigest()[:10] if path.is_file() else None

    @app.url_defaults
    def _(endpoint: str, values: dict[str, Any]) -> None:
        # While developing, files change under a running server: no digest is remembered then.
        if endpoint == "static" and "v" not in values and not app.debug:
            values["v"] = digest(values["filename"])
