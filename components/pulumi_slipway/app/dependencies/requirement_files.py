"""Requirements files, with those that they include."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .locked import DependenciesError, normal

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INCLUDE = re.compile(r"\s*(-r|--requirement|-c|--constraint)[\s=]*([^\s#]+)")
_LOCAL = re.compile(r"\s*((-e|--editable)[\s=]|\.|/|file:)|[^#]*@\s*file:")


@dataclass
class Requirements:
    """What a requirements file and those that it includes say, line by line."""

    lines: list[str] = field(default_factory=list)
    """Requirements and options, without what is installed from the app's own source."""
    constraints: list[str] = field(default_factory=list)
    local: bool = False
    """Something is installed from the app's own source."""

    @property
    def names(self) -> set[str]:
        return {normal(match[1]) for line in self.lines if (match := _NAME.match(line)) and "://" not in match[0]}


def read_requirements(folder: Path, file: str) -> Requirements:
    """Raises `DependenciesError` for a file that is not there, or not in `folder`: the server would not have it."""
    found = Requirements()
    for line, constraint in _lines(folder, Path(os.path.normpath(file)), False, set()):
        if constraint:
            found.constraints.append(line)
        elif _LOCAL.match(line):
            found.local = True
        else:
            found.lines.append(line)
    return found


def _lines(folder: Path, file: Path, constraint: bool, seen: set[tuple[Path, bool]]) -> Iterator[tuple[str, bool]]:
    if (file, constraint) in seen:
        return
    seen.add((file, constraint))
    path = folder / file
    if file.is_absolute() or ".." in file.parts or not path.is_file():
        where = "is not in the app's folder" if file.is_absolute() or ".." in file.parts else "is missing"
        raise DependenciesError(f"path: the requirements file {file} {where}; mend the line that includes it")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        include = _INCLUDE.match(line)
        if include:
            inner = Path(os.path.normpath(file.parent / include[2].strip("\"'")))
            yield from _lines(folder, inner, constraint or include[1] in ("-c", "--constraint"), seen)
        elif line.strip() and not line.lstrip().startswith("#"):
            yield line.strip(), constraint
