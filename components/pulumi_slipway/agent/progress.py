"""Progress for people, on stderr: short lines, flushed, with secret values blotted out.

Lines stay under 2 KB since the reader at the other end of the connection has a limit for a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

LINE_LIMIT = 1800
# A shorter value is hardly a secret, and blotting it out would make ordinary words unreadable.
SHORTEST_SECRET = 8

_secrets: list[str] = []


def hide(values: Iterable[str]) -> None:
    """Blot out these values in all that is said from now on."""
    for value in values:
        parts = {value, *value.splitlines()}
        _secrets.extend(part for part in parts if len(part) >= SHORTEST_SECRET)
    _secrets.sort(key=len, reverse=True)


def clean(text: str) -> str:
    """The text without secret values and without control characters that would confuse a terminal."""
    for secret in _secrets:
        text = text.replace(secret, "[secret]")
    return "".join(c if c.isprintable() or c == "\t" else " " for c in text)


def say(message: str) -> None:
    """Tell people what is going on. A reader that went away is no reason to stop."""
    for line in message.splitlines() or [""]:
        line = clean(line)
        if len(line) > LINE_LIMIT:
            line = line[:LINE_LIMIT] + " …"
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            return
