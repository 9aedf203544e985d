"""The two system users of an app, and an end to whatever one of them still runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import AgentError

_MARK = "Slipway"
"""Begins the comment field of the users that Slipway made: how it knows its own."""


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int


def build_name(app: str) -> str:
    return f"{app}-build"


def find(name: str) -> User | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(name, entry.pw_uid, entry.pw_gid)


def own(name: str) -> User | None:
    """The user if it is one that Slipway made."""
    user = find(name)
    return user if user is not None and pwd.getpwnam(name).pw_gecos.startswith(_MARK) else None


def check_free(name: str) -> None:
    """Raises `AgentError` when somebody else's user has the name."""
    if find(name) is not None and own(name) is None:
        raise AgentError(f"a user {name!r} that is not Slipway's exists on this server: give the app another name")


def require(name: str) -> User:
    user = find(name)
    if user is None:
        raise AgentError(f"the user {name} is missing on this server: run the claim step of the app again")
    return user


def ensure(name: str, home: Path, purpose: str) -> User:
    """The system user `name` without a shell or a password; refused when it exists and is not one of ours."""
    check_free(name)
    user = find(name)
    if user is not None:
        return user
    _run(
        [
            *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(home)),
            *("--shell", "/usr/sbin/nologin", "--comment", f"{_MARK} {purpose}", name),
        ]
    )
    return require(name)


def remove(name: str) -> None:
    """Remove the user with all its processes; an absent one is fine, one that is not ours stays."""
    user = find(name)
    if user is None or not pwd.getpwnam(name).pw_gecos.startswith(_MARK):
        return
    end_processes(user)
    _run(["userdel", "--force", name])


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """What the block does to files counts as done by `user`: for places that are that user's, where a link may lead
    anywhere. Somebody other than root is who he is."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def end_processes(user: User, within: float = 10.0) -> None:
    """Kill all processes of `user`, again until there is none."""
    deadline = time.monotonic() + within
    while pids := _processes(user.uid):
        if time.monotonic() > deadline:
            raise AgentError(f"processes of {user.name} do not end: {', '.join(map(str, pids))}")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes(uid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid != uid:
                continue
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if state not in "ZX":
            found.append(int(entry.name))
    return found


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # 6: the user is not there; 12: no home folder to remove. userdel --force says so and is done.
    if result.returncode not in (0, 12):
        raise AgentError(f"{command[0]} failed for {command[-1]}", result.stderr.strip().splitlines()[-5:])
