"""The time at the beginning of a cron line."""

from __future__ import annotations

import re

_FIELD = r"[\d*,/A-Za-z-]+"
_FIVE = re.compile(rf"((?:{_FIELD}\s+){{4}}{_FIELD})\s+(.+)")
_NAMED = re.compile(r"(@(?:hourly|daily|midnight|weekly|monthly|yearly|annually))\s+(.+)")


def split_schedule(text: str) -> tuple[str, str] | None:
    """Time and command of `*/5 * * * * command` or `@daily command`; None: it does not begin with a time."""
    match = _NAMED.fullmatch(text) or _FIVE.fullmatch(text)
    if not match or (match[1][0] != "@" and not all(re.match(r"[\d*]", field) for field in match[1].split()[:3])):
        return None
    return " ".join(match[1].split()), match[2]
