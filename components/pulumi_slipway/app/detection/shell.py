"""Shell command lines as they are written in Procfiles: what they run one after the other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)
_DEFAULT = re.compile(r"\$\{\w+:?-([^}$`]*)\}")
_RUNNER = re.compile(r"(^|;|&&|\|\|?)(\s*)(?:exec\s+)?(?:uv|poetry|pipenv|pdm|hatch|rye)\s+run\s+(?:-\S+\s+)*")


@dataclass(frozen=True)
class Command:
    """One simple command: its words without quotes, and the variables that are set for it alone."""

    text: str
    """As it is written."""
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def without_runner(line: str) -> str:
    """A command line without `poetry run` and its like: on the server all programs run in the app's environment, and
    its manager is not there."""
    return _RUNNER.sub(r"\1\2", line).strip()


def split_chain(line: str) -> list[Command] | None:
    """The commands of `a; b && c`, in order; None for a line that is more than that (pipes, groups, conditions)."""
    texts = _split(line)
    if texts is None:
        return None
    try:
        return [_command(text.strip()) for text in texts if text.strip()]
    except ValueError:  # an open quote
        return None


def expanded(word: str) -> str | None:
    """A word with the defaults that it gives itself, as 3 of `${WORKERS:-3}`; None where a variable decides."""
    word = _DEFAULT.sub(r"\1", word)
    return None if "$" in word else word


def _split(line: str) -> list[str] | None:
    """The texts between `;` and `&&` outside of quotes."""
    parts, quote, position = [""], "", 0
    while position < len(line):
        char, pair = line[position], line[position : position + 2]
        if char == "\\" and quote != "'":
            parts[-1] += pair
            position += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == ";" or pair == "&&":
            parts.append("")
            position += 1 if char == ";" else 2
            continue
        elif char in "|&<>`" or pair == "$(" or (char == "(" and not parts[-1].strip()):
            return None
        parts[-1] += char
        position += 1
    return parts


def _command(text: str) -> Command:
    words = shlex.split(text)
    variables = {}
    while words:
        match = _ASSIGNMENT.fullmatch(words[0])
        if match:
            variables[match[1]] = match[2]
        elif words[0] not in ("exec", "env"):
            break
        words = words[1:]
    return Command(text, tuple(words), variables)
