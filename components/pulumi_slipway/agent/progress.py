"""Progress for people, on stderr: short lines, flushed, with secret values blotted out.

Lines stay under 2 KB since the reader at the other end of the connection has a limit for a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

LINE_LIMIT = 1800
# A shorter value is hardly a secret, and blotting it out would make ordinary words unreadable.
SHORTEST_SECRET = 8
SHORTEST_PASSWORD = 6

_secrets: list[str] = []


def hide(values: Iterable[str]) -> None:
    """Blot out these values in all that is said from now on, and passwords in those that are URLs: a driver of a
    database may tell the password without the rest."""
    found = set(_secrets)
    for value in values:
        found.update(part for part in (value, *value.splitlines()) if len(part) >= SHORTEST_SECRET)
        found.update(part for part in _passwords(value) if len(part) >= SHORTEST_PASSWORD)
    _secrets[:] = sorted(found, key=len, reverse=True)


def _passwords(value: str) -> set[str]:
    """The password in a URL, as it is written there and as it is meant."""
    if "://" not in value:
        return set()
    from urllib.parse import unquote, urlsplit  # not needed by commands that are to be quick

    try:
        password = urlsplit(value).password
    except ValueError:  # no URL after all
        return set()
    return {password, unquote(password)} if password else set()


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
