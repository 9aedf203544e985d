"""Where the migrations are, and how SQLite is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from guestbook.extensions import db

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def prepare_connections(app: Flask) -> None:
    """Let SQLite serve readers while somebody writes, and wait for a lock instead of failing at once.

    Two releases of the application have the same file open for a moment while one takes over from the other.
    """
    with app.app_context():
        engine = db.engine
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 5000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()
