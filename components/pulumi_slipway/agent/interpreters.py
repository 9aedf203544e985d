"""Which Python an app runs on: the server's own, or one that uv fetches, kept as long as a release needs it."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from . import files, paths, run, users
from .errors import AgentError
from .needs import Needs
from .paths import AppPaths
from .progress import say
from .run import Deadline

OWN = "/usr/bin/python3"
_MARK = ".slipway-complete"


@dataclass(frozen=True)
class Interpreter:
    path: str
    version: str
    """What environments are told apart by: an update of the server's own does not make them anew."""
    managed: str | None = None
    """The name of its folder in `AppPaths.pythons`; None: the server's own."""


def own() -> Interpreter:
    return Interpreter(OWN, ".".join(platform.python_version_tuple()[:2]))


def is_own(wanted: str | None) -> bool:
    return wanted is None or f"{platform.python_version()}.".startswith(f"{wanted}.")


def choose(
    app: AppPaths, needs: Needs, builder: users.User, variables: dict[str, str], deadline: Deadline
) -> Interpreter:
    """The Python that was asked for, fetched first if it is not here. Raises `AgentError` when that fails."""
    if needs.python is None or is_own(needs.python):
        return own()
    place = files.folder(app.pythons) / needs.python
    if not (place / _MARK).is_file():
        _fetch(app, place, needs, builder, variables, deadline)
    return _found(place, needs.python)


def _fetch(
    app: AppPaths, place: Path, needs: Needs, builder: users.User, variables: dict[str, str], deadline: Deadline
) -> None:
    say(f"fetching Python {needs.python}: the server's own is {platform.python_version()}")
    files.discard(place, app.work)  # half of one, from an interrupted run
    files.folder(place, 0o755, builder.uid, builder.gid)
    fetching = {**variables, "UV_PYTHON_DOWNLOADS": "manual", "UV_PYTHON_INSTALL_DIR": str(place)}
    if needs.mirror is not None:
        fetching["UV_PYTHON_INSTALL_MIRROR"] = needs.mirror
    command = [str(paths.uv()), "python", "install", "--no-bin", str(needs.python)]
    try:
        run.step(command, builder, app.build / "home", fetching, deadline, f"fetching Python {needs.python}")
    except AgentError as error:
        raise AgentError(
            f"{error.message}: uv gets it from its own place on the internet; set python_mirror to one that this "
            "server reaches, or python to the server's own version",
            error.tail,
        ) from error
    users.end_processes(builder)
    # It had to be made in its place, which it remembers; root takes it over out of the build user's reach.
    taken = app.work / f"python-{needs.python}"
    place.rename(taken)
    files.take_tree(taken, builder.uid)
    (taken / _MARK).touch()
    files.sync_filesystem(taken)
    taken.rename(place)
    files.sync_folder(app.pythons)


def _found(place: Path, wanted: str) -> Interpreter:
    for folder in sorted(place.iterdir()):
        version = re.match(r"cpython-(\d+\.\d+\.\d+)-", folder.name)
        python = folder / "bin/python3"
        if version and not folder.is_symlink() and python.exists():
            return Interpreter(str(python), version[1], wanted)
    raise AgentError(f"uv left no Python {wanted} in {place}: remove that folder, and release again")
