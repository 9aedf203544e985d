"""The build commands of a release: run by the build user in a copy of the source, or, where it is said what one reads
and what it makes, not run when that is known already.

What a step made is kept in `/srv/<app>/built/<key>/`, root's own; the key stands for the command, all that it reads,
its variables and its environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, globs, request, run, users
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .request import Document
from .run import Deadline
from .users import User

_FORMAT = 1
"""Part of every key: raise it when what is kept changes its form."""

_NO_SOURCE = (".git", "node_modules", "__pycache__")

Seen = dict[str, tuple[int, int, int]]
"""Files with inode, size and time, by name."""


@dataclass(frozen=True)
class Step:
    """One build command."""

    run: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    """Patterns; without any, the command is always run."""

    @classmethod
    def read(cls, given: Any) -> Step:
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping):
            raise AgentError("request: 'commands': a build command must be text, or an object with 'run'")
        step = cls(
            request.text(given, "run"), tuple(request.texts(given, "inputs")), tuple(request.texts(given, "outputs"))
        )
        if bool(step.inputs) != bool(step.outputs):
            raise AgentError(f"request: the build command `{step.run}` needs both 'inputs' and 'outputs', or neither")
        return step

    def record(self) -> str | dict[str, Any]:
        if not self.inputs:
            return self.run
        return {"run": self.run, "inputs": list(self.inputs), "outputs": list(self.outputs)}


def read(commands: Document) -> tuple[Step, ...]:
    given = commands.get("build") or []
    if not isinstance(given, list):
        raise AgentError("request: 'build' must be a list")
    return tuple(Step.read(entry) for entry in given)


class Builder:
    """Runs the steps of one release in `home`, and keeps what they made once it is root's."""

    def __init__(self, app: AppPaths, user: User, environment: Mapping[str, str], tools: str) -> None:
        """`tools` stands for the environment that the commands use."""
        self._app, self._user, self._environment, self._tools = app, user, environment, tools
        self._made: dict[str, Seen] = {}
        self.used: list[str] = []
        """Keys of what this release was made with."""

    def run(self, steps: Sequence[Step], home: Path, variables: str, deadline: Deadline) -> None:
        """Run the steps; `variables` is a fingerprint of the declared build variables."""
        for step in steps:
            key = self._key(step, home, variables) if step.inputs else None
            if key is not None and self._fetch(key, home):
                say(f"build: {step.run} (kept from an earlier release)")
                self.used.append(key)
                continue
            say(f"build: {step.run}")
            run.step(step.run, self._user, home, self._environment, deadline, f"the build command `{step.run}`")
            if key is not None:
                users.end_processes(self._user)
                self._made[key] = _seen(home, globs.matcher(step.outputs))
                self.used.append(key)

    def keep(self, home: Path) -> None:
        """Keep what was made, now that `home` is root's: hard links, of what no later step changed."""
        files.folder(self.folder)
        for key, made in self._made.items():
            if made and _seen(home, made.__contains__) == made:
                place = self._app.work / f"built-{key}"
                for name in made:
                    (place / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                    os.link(home / name, place / name, follow_symlinks=False)
                files.discard(self.folder / key, self._app.work)
                place.rename(self.folder / key)

    @property
    def folder(self) -> Path:
        return folder(self._app)

    def _key(self, step: Step, home: Path, variables: str) -> str:
        users.end_processes(self._user)
        matches = globs.matcher([*step.inputs, *step.outputs])  # what the source has in place of an output counts, too
        total = hashlib.sha256(json.dumps([_FORMAT, step.record(), variables, self._tools]).encode())
        for name, path, state in _walk(home):
            if matches(name):
                total.update(f"{name}\0{_content(path, state)}\n".encode())
        return total.hexdigest()[:32]

    def _fetch(self, key: str, home: Path) -> bool:
        """Copies, which later steps may change; written with the build user's rights, as a step may have made links
        that lead elsewhere."""
        place = self.folder / key
        if not place.is_dir():
            return False
        users.end_processes(self._user)
        with users.acting_as(self._user):
            for name, path, _ in list(_walk(place)):
                target = home / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                if path.is_symlink():
                    target.symlink_to(os.readlink(path))  # noqa: PTH115 (its text)
                else:
                    shutil.copyfile(path, target)
                    shutil.copymode(path, target)
        return True


def folder(app: AppPaths) -> Path:
    return app.root / "built"


def prune(app: AppPaths, records: Sequence[Mapping[str, Any]]) -> None:
    """Remove what no release that is kept was made with."""
    used = {key for record in records for key in record.get("built", ())}
    for entry in list(folder(app).iterdir()) if folder(app).is_dir() else ():
        if entry.name not in used:
            files.discard(entry, app.work)


def _seen(home: Path, matches: Callable[[str], bool]) -> Seen:
    return {name: (state.st_ino, state.st_size, state.st_mtime_ns) for name, _, state in _walk(home) if matches(name)}


def _content(path: Path, state: os.stat_result) -> str:
    if stat.S_ISLNK(state.st_mode):
        return f"-> {os.readlink(path)}"  # noqa: PTH115 (its text)
    return f"{files.sha256_file(path)} {state.st_mode & 0o111}"


def _walk(home: Path, below: str = "") -> Iterator[tuple[str, Path, os.stat_result]]:
    """Files and links by name, in order; links are not followed."""
    with os.scandir(home / below) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _NO_SOURCE:
                yield from _walk(home, name)
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            yield name, Path(entry.path), entry.stat(follow_symlinks=False)
