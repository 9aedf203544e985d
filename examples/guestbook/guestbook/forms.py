"""The form that guests fill in."""

from __future__ import annotations

import re
import unicodedata

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from guestbook.models import MESSAGE_LENGTH, NAME_LENGTH, PLACE_LENGTH


def one_line(text: str | None) -> str:
    """One line of visible text: no control characters, runs of white space made one blank."""
    return " ".join(visible(text).split())


def some_lines(text: str | None) -> str:
    """Visible text of several lines, with at most one empty line between two paragraphs."""
    lines = "\n".join(line.rstrip() for line in visible(text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def visible(text: str | None) -> str:
    """The text without control characters, and without marks that turn the direction of what follows it."""
    kept = (c for c in text or "" if c in "\n\r\t\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    return unicodedata.normalize("NFC", "".join(kept))


class EntryForm(FlaskForm):
    """A name, perhaps a place, and a message. Lengths are counted after tidying."""

    name = StringField(
        _l("Your name"),
        filters=[one_line],
        validators=[
            DataRequired(_l("Please tell us your name.")),
            Length(1, NAME_LENGTH, _l("Please use between %(min)d and %(max)d characters.")),
        ],
        render_kw={"autocomplete": "given-name", "maxlength": NAME_LENGTH},
    )
    place = StringField(
        _l("Where from"),
        filters=[one_line],
        validators=[Length(0, PLACE_LENGTH, _l("Please use at most %(max)d characters."))],
        render_kw={"autocomplete": "off", "maxlength": PLACE_LENGTH},
    )
    message = TextAreaField(
        _l("Your message"),
        filters=[some_lines],
        validators=[
            DataRequired(_l("Please write a few words.")),
            Length(1, MESSAGE_LENGTH, _l("Please use between %(min)d and %(max)d characters.")),
        ],
        render_kw={"rows": 5, "maxlength": MESSAGE_LENGTH},
    )
