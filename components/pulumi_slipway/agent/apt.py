"""apt and dpkg, run so that nobody is asked anything, within a deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from . import files, paths, run
from .environment import machine_variables
from .errors import AgentError
from .progress import say
from .run import Deadline
from .users import User

_APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold")
_STALE = 24 * 3600
"""Seconds after which the lists of packages are fetched again before something is installed."""
_PAUSES = (3.0, 10.0)
"""Seconds before each further try: mirrors fail now and then."""
_ROOT = User("root", 0, 0)


def install(names: Sequence[str], deadline: Deadline) -> None:
    """Install packages; nothing that is installed is ever removed for them. Raises `AgentError` when that fails, also
    with new lists of packages."""
    pauses = iter(_PAUSES)
    anew = False
    while True:
        try:
            refresh(deadline, anew=anew)
            finish_interrupted(deadline)
            _run([*_APT, "install", "--no-install-recommends", "--no-remove", *names], deadline, "apt-get install")
        except AgentError as error:
            pause = next(pauses, None)
            if pause is None or deadline.left < pause:
                raise
            say(f"{error.message}; trying again with new lists of packages")
            time.sleep(pause)
            anew = True
        else:
            return


def purge(names: Sequence[str], deadline: Deadline) -> None:
    finish_interrupted(deadline)
    _run([*_APT, "purge", *names], deadline, "apt-get purge")


def refresh(deadline: Deadline, *, anew: bool = False) -> None:
    """Have lists of packages that are not older than a day; `anew`: new ones in any case."""
    lists = paths.rooted("/var/lib/apt/lists")
    found = [path.stat().st_mtime for path in lists.glob("*_Packages*")] + [0.0]
    stamp = paths.state() / "package-lists"
    fetched = stamp.stat().st_mtime if stamp.exists() and max(found) else max(found)
    if anew or time.time() - fetched > _STALE:
        _run([*_APT, "update"], deadline, "apt-get update")
        files.folder(paths.state())
        stamp.touch()


def finish_interrupted(deadline: Deadline) -> None:
    """Finish what a dpkg that was killed left half done: apt refuses to work before."""
    updates = paths.rooted("/var/lib/dpkg/updates")
    if updates.is_dir() and any(updates.iterdir()):
        _run(["dpkg", "--configure", "-a", "--force-confold"], deadline, "dpkg --configure")


def _run(command: list[str], deadline: Deadline, what: str) -> None:
    environment = {
        "PATH": run.SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "DEBIAN_FRONTEND": "noninteractive",
        "NEEDRESTART_SUSPEND": "1",
        **machine_variables(),
    }
    run.step(command, _ROOT, Path("/"), environment, deadline, what, quiet=True)
