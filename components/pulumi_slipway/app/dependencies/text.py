"""Requirements as text, with hashes and markers: what the server installs of locks that uv does not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    requirement: str
    marker: str | None = None
    hashes: tuple[str, ...] = ()


def render(lines: Iterable[Line], indexes: Sequence[str] = ()) -> str:
    """One requirement a line, by name."""
    texts = []
    for line in sorted(lines, key=lambda line: line.requirement.lower()):
        marker = f" ; {line.marker}" if line.marker else ""
        hashes = "".join(f" --hash={value}" for value in sorted(line.hashes))
        texts.append(f"{line.requirement}{marker}{hashes}")
    return "".join(f"{text}\n" for text in [*dict.fromkeys(indexes), *texts])


def index_line(url: str, name: str) -> str:
    """The line for a package index; empty for the public one, in whose place the server may have a mirror."""
    return f"--extra-index-url {url}" if url and name.lower() != "pypi" else ""
