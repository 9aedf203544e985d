"""Patterns for files as in .gitignore: the last one that fits decides, and one with "!" takes away."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Tells of a path (with "/", relative) whether the patterns name it, or a folder that it is in."""
    rules = [(not text.startswith("!"), _regex(text.removeprefix("!"))) for text in patterns if text.strip()]

    def matches(path: str) -> bool:
        for wanted, rule in reversed(rules):
            if rule.fullmatch(path):
                return wanted
        return False

    return matches


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """A "/" before its end ties a pattern to the top; "**" stands for any folders, "*" for any part of a name."""
    folder_only = pattern.endswith("/")
    parts = pattern.strip("/").split("/")
    text = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += ".+" if last else "(?:.*/)?"
        else:
            text += _name(part) + ("" if last else "/")
    return re.compile(text + ("/.*" if folder_only else "(?:/.*)?"), re.S)


def _name(part: str) -> str:
    found = ""
    index = 0
    while index < len(part):
        character = part[index]
        if character == "*":
            found += "[^/]*"
        elif character == "?":
            found += "[^/]"
        elif character == "[" and "]" in part[index + 2 :]:
            end = part.index("]", index + 2)
            inner = part[index + 1 : end]
            found += f"[{'^' if inner[0] in '!^' else ''}{re.escape(inner.lstrip('!^')).replace(chr(92) + '-', '-')}]"
            index = end
        elif character == "\\" and index + 1 < len(part):
            index += 1
            found += re.escape(part[index])
        else:
            found += re.escape(character)
        index += 1
    return found
