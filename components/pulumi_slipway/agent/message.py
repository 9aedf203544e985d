"""Who asks for a change, and of which commit it is: for the journal, and for whoever looks at a release later."""

from __future__ import annotations

from typing import Any

from . import request
from .progress import clean
from .request import Document

_LONGEST = 200
"""Characters of each text that are kept."""


def read(document: Document) -> dict[str, Any]:
    """What a request says of itself in its `message`: `who`, `when`, `commit`, `subject`, `dirty`. Nothing of it
    decides anything."""
    given = request.mapping(document, "message", {})
    found: dict[str, Any] = {}
    for key in ("who", "when", "commit", "subject"):
        text = request.optional_text(given, key)
        if text:
            found[key] = clean(text)[:_LONGEST]
    if request.flag(given, "dirty"):
        found["dirty"] = True
    return found
