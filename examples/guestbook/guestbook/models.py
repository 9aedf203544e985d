"""What the guestbook keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.extensions import Model, db

NAME_LENGTH = 40
PLACE_LENGTH = 60
MESSAGE_LENGTH = 500


def now() -> datetime:
    """The time in UTC without a zone, as it is stored: not every database keeps one."""
    return datetime.now(UTC).replace(tzinfo=None)


class Entry(Model):
    """One entry in the book."""

    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(NAME_LENGTH))
    place: Mapped[str] = mapped_column(sa.String(PLACE_LENGTH), default="", server_default="")
    message: Mapped[str] = mapped_column(sa.String(MESSAGE_LENGTH))
    created: Mapped[datetime] = mapped_column(sa.DateTime, default=now)

    @property
    def initial(self) -> str:
        """The letter on the entry's badge."""
        return self.name[:1].upper()

    @property
    def colour(self) -> int:
        """One of the badge's six colours, always the same for the same name."""
        return sum(self.name.casefold().encode()) % 6


def latest(limit: int, before: int | None = None) -> tuple[list[Entry], bool]:
    """The newest ``limit`` entries older than entry ``before``, and whether there are more."""
    query = sa.select(Entry).order_by(Entry.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(Entry.id < before)
    found = list(db.session.scalars(query))
    return found[:limit], len(found) > limit


def count() -> int:
    """How many entries the book holds."""
    return db.session.scalar(sa.select(sa.func.count(Entry.id))) or 0
