"""Packages of the server's distribution: those that an app runs with, which stay, and those that compiling takes, which
go again as soon as the environment is made.

Before something is installed for a while it is written down what that adds; whoever comes next, after whatever end of
the run that did it, removes just that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import adoption, apt, files, paths, run
from .errors import AgentError
from .lock import held
from .progress import say
from .run import Deadline

COMPILER = ("build-essential", "python3-dev")
"""What compiling takes in any case."""

_LOCK = "packages"
_REMOVAL = 300.0
"""Seconds that removing may take."""


def ensure(names: Sequence[str], deadline: Deadline) -> None:
    """Have these installed, for good."""
    if not names or not (_missing(names) or _record().is_file()):
        return
    with held(_LOCK, "installing packages", max(1.0, deadline.left)), adoption.noting():
        added = files.read_json(_record())
        if added is not None:  # what is here for a while may be among them
            files.write_json(_record(), {"packages": sorted(set(added["packages"]) - set(names))})
        missing = _missing(names)
        if missing:
            say(f"installing {', '.join(missing)}")
            apt.install(missing, deadline)


@contextmanager
def for_a_while(names: Sequence[str] | None, deadline: Deadline) -> Iterator[None]:
    """These and a compiler are there while the block runs; None: nothing is."""
    if names is None:
        yield
        return
    with held(_LOCK, "compiling", max(1.0, deadline.left)):
        _remove_added()
        missing = _missing([*COMPILER, *names])
        try:
            if missing:
                say(f"installing {', '.join(missing)} for as long as the environment is made")
                apt.refresh(deadline)
                files.write_json(_record(), {"packages": _added_by(missing)})
                apt.install(missing, deadline)
            yield
        finally:
            _remove_added()


def settle() -> None:
    """Remove what an interrupted run installed for a while; nothing when that run still lives."""
    if _record().is_file():
        with contextlib.suppress(AgentError), held(_LOCK, "removing packages", 0.0):
            _remove_added()


def _remove_added() -> None:
    """Where that fails, the record stays, and the next release tries again."""
    record = files.read_json(_record())
    if record is None:
        return
    try:
        deadline = Deadline(_REMOVAL, "removing packages")
        # an apt that outlived its run may still have added to them
        while there := _to_go(set(record["packages"])):
            say(f"removing the {len(there)} packages that were there for a while")
            apt.purge(there, deadline)
        _record().unlink(missing_ok=True)
    except AgentError as error:
        say(f"warning: packages that were installed for a while stay until the next release: {error.message}")


def _to_go(added: set[str]) -> list[str]:
    """Those of `added` that are there and that nothing else has come to need meanwhile."""
    there = sorted(_there().keys() & added)
    if not there or set(_planned("remove", there)) <= added:
        return there
    return [name for name in there if set(_planned("remove", [name])) <= added]


def _added_by(names: Sequence[str]) -> list[str]:
    """All that is not installed now, and would be with `names`. Unknown names are told once the lists are new."""
    try:
        return _planned("install", names)
    except AgentError:
        apt.refresh(Deadline(_REMOVAL, "fetching the lists of packages"), anew=True)
        return _planned("install", names)


def _planned(action: str, names: Sequence[str]) -> list[str]:
    """The packages that apt would install or remove."""
    begins = "Inst" if action == "install" else "Remv"
    said = run.tool(["apt-get", "-s", "-q", "--no-install-recommends", action, *names])
    words = [line.split() for line in said.splitlines()]
    # an installed package that is only brought up to date has its version in brackets
    new = [word for word in words if len(word) > 2 and word[0] == begins and (begins == "Remv" or word[2][0] != "[")]
    return sorted({word[1] for word in new})


def _missing(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not installed; a package may also be there under a name that it provides."""
    if not names:
        return []
    there: set[str] = set()
    for package, provides in _there().items():
        there |= {package, *re.findall(r"(?:^|[ ,])([a-z0-9][a-z0-9+.-]+)", provides)}
    return [name for name in dict.fromkeys(names) if name.partition(":")[0] not in there]


def _there() -> dict[str, str]:
    """Every installed package, with what it provides."""
    said = run.tool(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\t${Package}\t${Provides}\n"])
    rows = (line.split("\t") for line in said.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0].startswith("ii")}


def _record() -> Path:
    return paths.state() / "packages-for-a-while.json"
