"""The files of an application's source, as detection reads them: those that are released, and no others."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import pathspec

_LARGEST = 1_000_000
"""Bytes of a file that is looked into: a larger one is no source that somebody wrote."""
_NOT_THE_APP = {"tests", "test", "docs", "migrations", "alembic", "node_modules", "venv", "env"}


class Tree:
    """The files `names` (relative, with /) under `folder`; nothing else is looked at."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self.names = tuple(sorted(names))
        self._texts: dict[str, str] = {}
        self._modules: dict[str, ast.Module | None] = {}

    @classmethod
    def of(cls, folder: Path) -> Tree:
        """All files of a folder."""
        files = (path for path in folder.rglob("*") if path.is_file())
        return cls(folder, (path.relative_to(folder).as_posix() for path in files))

    def has(self, name: str) -> bool:
        return name in self._known

    def has_folder(self, name: str) -> bool:
        return name in self._folders

    def text(self, name: str) -> str:
        """The text of a file; empty for one that is not there, is no text, or is too large to be source."""
        if name not in self._texts:
            self._texts[name] = self._read(name) if self.has(name) else ""
        return self._texts[name]

    def module(self, name: str) -> ast.Module | None:
        """A Python file, parsed; None for one that cannot be."""
        if name not in self._modules:
            try:
                self._modules[name] = ast.parse(self.text(name)) if self.has(name) else None
            except (SyntaxError, ValueError):
                self._modules[name] = None
        return self._modules[name]

    def file_of(self, module: str, roots: Sequence[str] = ("", "src/")) -> str | None:
        """The file of a dotted module, at the top or in src/; None: it is not of this source."""
        path = module.replace(".", "/")
        names = (f"{root}{path}{end}" for root in roots for end in (".py", "/__init__.py"))
        return next((name for name in names if self.has(name)), None)

    def children(self, folder: str = "") -> list[str]:
        """The folders right under `folder` ("": the top), without those that hold no part of an application."""
        prefix = f"{folder}/" if folder else ""
        inner = {name[len(prefix) :].split("/")[0] for name in self._folders if name.startswith(prefix)} - {""}
        return sorted(name for name in inner if name not in _NOT_THE_APP and not name.startswith("."))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The Python files of the application: not its tests or migrations."""
        return tuple(name for name in self.names if name.endswith(".py") and not _NOT_THE_APP & {*name.split("/")[:-1]})

    def matching(self, globs: Iterable[str]) -> list[str]:
        """The files that patterns in gitignore's syntax name."""
        spec = pathspec.GitIgnoreSpec.from_lines(globs)
        return [name for name in self.names if spec.match_file(name)]

    def digest(self, names: Iterable[str]) -> str:
        """sha256 (hex) of these files, by name and content."""
        digest = hashlib.sha256()
        for name in sorted(set(names)):
            path = self.folder / name
            data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        return digest.hexdigest()

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(str(parent) for name in self.names for parent in PurePosixPath(name).parents) - {"."}

    def _read(self, name: str) -> str:
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8-sig") if path.stat().st_size <= _LARGEST else ""
        except (OSError, UnicodeDecodeError):
            return ""
