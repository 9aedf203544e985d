"""What an app keeps: paths of its folder that are links into `/srv/<app>/shared`. The rest of a release is read-only.

The content that the source has at such a path is put aside while staging, and becomes the app's own the first time;
from then on it is the app's, and no release touches it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from . import database_notes, files, request, users
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .request import Document
from .tree import NOTES

SEED = "seed"
"""Folder of a release with what its source has at these paths."""

# Flask looks for this file in its instance folder
_NO_CODE = "config.py"

WEB_MODE = 0o2750
"""Of a folder that nginx serves: its group is that of nginx, also of what is put into it."""


def read(document: Document) -> tuple[str, ...]:
    """The paths of a request, in their shortest form; one that ends in "/" is a folder."""
    found = tuple(_checked(text) for text in request.texts(document, "persistent"))
    parts = [PurePosixPath(path) for path in found]
    for path in parts:
        if any(path != other and path.is_relative_to(other) for other in parts) or parts.count(path) > 1:
            raise AgentError(f"persistent: {str(path)!r} lies in another of the paths, or is named twice: leave it out")
    return found


def link(app: AppPaths, home: Path, seed: Path, paths: Sequence[str]) -> None:
    """Make links of these paths in the app's folder `home`, root's own by now; what is there goes to `seed`."""
    for path in paths:
        place = home / path
        if not place.parent.resolve().is_relative_to(home.resolve()) or place.is_symlink():
            raise AgentError(f"persistent: {path!r} is, or leads over, a link of the source: name what it leads to")
        if place.exists():
            _refuse_code(path, place)
            (seed / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            place.rename(seed / path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.symlink_to(app.shared / path)


def provide(app: AppPaths, release: str, record: dict[str, Any]) -> None:
    """Have in `shared` what the links of a release lead to; nothing that is there is overwritten."""
    user, web = users.require(app.app), users.require("www-data")
    seeded = set(database_notes.seeded(app))
    media = record.get("media")
    for path in record.get("persistent", ()):
        seed = app.release(release) / SEED / path
        with users.acting_as(user):
            _provide(app.shared, path, seed if os.path.lexists(seed) and path not in seeded else None)
        if str(PurePosixPath(path)) == media:
            # nginx reads it; no other user comes past `shared` itself
            files.give_folder_inside(app.shared, path, WEB_MODE, user.uid, web.gid)
        if seed.exists():
            seeded.add(path)
    database_notes.write_seeded(app, sorted(seeded))


def _provide(shared: Path, path: str, seed: Path | None) -> None:
    place = shared / path
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in place.parent.glob(f".{place.name}.*.new"):
        files.remove(leftover)
    wants_folder = seed.is_dir() if seed is not None else place.is_dir() or _names_folder(path)
    if place.exists() and place.is_dir() != wants_folder:
        there, wanted = ("folder", "file") if place.is_dir() else ("file", "folder")
        raise AgentError(f"persistent: {place} is a {there}, and {path!r} of this release a {wanted}: move it away")
    if seed is None:
        if wants_folder:
            place.mkdir(mode=0o750, exist_ok=True)
        return
    new = place.with_name(f".{place.name}.{uuid.uuid4().hex[:12]}.new")
    if wants_folder:
        if place.exists() and any(place.iterdir()):
            return
        shutil.copytree(seed, new, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        new.chmod(0o750)
        new.rename(place)
    else:
        shutil.copyfile(seed, new)
        new.chmod(0o640)
        with contextlib.suppress(FileExistsError):
            os.link(new, place)
        new.unlink()
    say(f"{path}: begun with what the source has there")


def _names_folder(path: str) -> bool:
    return path.endswith("/") or not PurePosixPath(path).suffix


def _refuse_code(path: str, place: Path) -> None:
    """A link would hide the code that is there: of every later release, too."""
    found = [place] if place.is_file() else sorted(place.rglob("*.py"))
    for file in found:
        if file.suffix == ".py" and file != place / _NO_CODE:
            name = path if file == place else f"{path.rstrip('/')}/{file.relative_to(place)}"
            raise AgentError(
                f"persistent: {path!r} holds code of the app ({name}), which later releases could not change: "
                "name a folder of data alone"
            )


def _checked(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise AgentError(f"persistent: {text!r} must lie within the app's folder")
    if path.parts[0] == NOTES:
        raise AgentError(f"persistent: {text!r} is Slipway's own: take another name")
    return f"{path}/" if text.endswith("/") else str(path)
