"""``/healthz``: is this release fit to serve?"""

from __future__ import annotations

from urllib.parse import quote

import sqlalchemy as sa
from flask import Blueprint, current_app
from sqlalchemy.exc import SQLAlchemyError

from guestbook.extensions import db
from guestbook.models import Entry

probe = Blueprint("health", __name__)


@probe.get("/healthz")
def healthz() -> tuple[dict[str, str], int]:
    """200 when the database answers and has the columns this release needs, else 503.

    The connection is a new one: one from the pool can go on answering after the database is gone.
    """
    release = current_app.config["RELEASE"]
    try:
        engine = sa.create_engine(existing(db.engine.url), poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.select(Entry.__table__).limit(1)).all()
    except SQLAlchemyError as error:
        # One line, not a traceback: this is asked for often, and the reason is outside this program.
        reason = getattr(error, "orig", None) or error
        current_app.logger.error("health: no answer from the database: %s", reason)  # noqa: TRY400
        return {"status": "error", "database": "no answer", "release": release}, 503
    return {"status": "ok", "database": "ok", "release": release}, 200


def existing(url: sa.URL) -> sa.URL:
    """The URL, for SQLite such that a missing file is an error: by default SQLite makes an empty one."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return url
    return url.set(database=f"file:{quote(url.database)}").update_query_dict({"mode": "rw", "uri": "true"})
