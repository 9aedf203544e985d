"""What settings say of a release's steps: files of build commands, set-up, snapshots, uploaded files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, TypedDict

from .detection import Recipe
from .known_commands import build_patterns


class BuildFilesArgs(TypedDict):
    """What a build command reads and makes, in gitignore's syntax."""

    inputs: Sequence[str]
    outputs: Sequence[str]


@dataclass(frozen=True)
class BuildStep:
    """A build command; without `inputs`, it runs in each release."""

    run: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Media:
    """Uploaded files that nginx serves."""

    url: str
    folder: str
    """One of the paths that the app keeps."""


@dataclass(frozen=True)
class Steps:
    build: tuple[BuildStep, ...]
    setup_answer: str | None
    snapshot: bool
    """Dump the database before the release commands run."""
    force: bool
    """Run the release commands whatever has changed."""
    media: Media | None


def steps_document(steps: Steps, recipe: Recipe) -> dict[str, Any]:
    """As the server is told, over what it is told of the recipe."""
    return {
        "commands": {"build": [asdict(step) for step in steps.build], "release": list(recipe.release)},
        "setup_answer": steps.setup_answer,
        "migration": {"inputs": recipe.inputs, "force": steps.force, "snapshot": steps.snapshot},
        "media": {"folder": steps.media.folder} if steps.media else None,
    }


def steps_parts(steps: Steps) -> dict[str, Any]:
    """What a release consists of besides: an answer and a snapshot make none."""
    return {
        "build": [asdict(step) for step in steps.build],
        "media": steps.media.folder if steps.media else None,
    }


def build_steps(
    commands: Sequence[str], given: Mapping[str, BuildFilesArgs], static_folder: str | None
) -> tuple[BuildStep, ...]:
    """The build commands with their files, as given, else as known. Raises `ValueError` naming the command."""
    steps = []
    for command in given:
        if command not in commands:
            raise ValueError(f"build_files: {command!r} is none of the commands of build; remove it, or add it there")
    for command in commands:
        known = build_patterns(command, static_folder)
        if command in given:
            known = tuple(given[command]["inputs"]), tuple(given[command]["outputs"])
            if not all(known):
                raise ValueError(f"build: {command!r} needs inputs and outputs, or neither; give both")
        steps.append(BuildStep(command, *known) if known else BuildStep(command))
    return tuple(steps)


def check_media(url: str | None, folder: str, static_url: str) -> Media | None:
    if url is None:
        return None
    if url == static_url:
        raise ValueError(f"media_url: {url!r} is static_url, too; take another one, as /media/")
    return Media(url, folder)


def with_media(persistent: Sequence[str], media: Media | None) -> tuple[str, ...]:
    """The persistent paths, with the folder of media among them."""
    if media is None or any(PurePosixPath(path) == PurePosixPath(media.folder) for path in persistent):
        return tuple(persistent)
    return (*persistent, f"{media.folder}/")


def check_answer(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"(done|run) [0-9a-f]{8}", value):
        raise ValueError(f"setup_answer: {value!r} is no answer; copy 'done NUMBER' or 'run NUMBER' from the question")
    return value
