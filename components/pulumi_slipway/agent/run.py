"""Running other programs: as a user, within a time, their output passed on and its end remembered."""

from __future__ import annotations

import collections
import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import AgentError
from .progress import clean, say
from .users import User

TAIL = 30
"""Lines of a failed program that are shown after the error."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Deadline:
    """A number of seconds for a step with several programs in it."""

    seconds: float
    what: str
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()


def tool(command: Sequence[str], timeout: float = 60.0) -> str:
    """Run a tool of the system as root; its output. Raises `AgentError` with what it said when it fails."""
    try:
        result = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise AgentError(f"{command[0]} is not installed on this server") from error
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"{' '.join(command)} did not end within {timeout:.0f} s") from error
    said = (result.stdout + result.stderr).strip()
    if result.returncode != 0:
        raise AgentError(f"{' '.join(command)} failed ({_how(result.returncode)})", said.splitlines()[-TAIL:])
    return said


def step(
    command: Sequence[str] | str,
    user: User,
    folder: Path,
    environment: Mapping[str, str],
    deadline: Deadline,
    what: str,
    quiet: bool = False,
    on_start: Callable[[int], None] | None = None,
) -> None:
    """Run a program (or, for text, a shell command) as `user` in `folder`.

    Its output is passed on line by line (not if `quiet`); `on_start` is told its process group. Raises `AgentError`
    with its last lines when it fails or the deadline passes; then nothing of its process group is left.
    """
    arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    tail: collections.deque[str] = collections.deque(maxlen=TAIL)
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            umask=0o022,
            start_new_session=True,
        )
    except OSError as error:
        raise AgentError(f"{what} could not be started: {error}") from error
    try:
        if on_start is not None:
            on_start(process.pid)
        in_time = _follow(process, deadline, tail, quiet)
    except BaseException:
        _end_group(process)
        raise
    if not in_time:
        _end_group(process)
        raise AgentError(f"{what} did not end within {deadline.seconds:.0f} s ({deadline.what})", tail)
    if process.returncode != 0:
        raise AgentError(f"{what} failed ({_how(process.returncode)})", tail)


def _follow(process: subprocess.Popen[bytes], deadline: Deadline, tail: collections.deque[str], quiet: bool) -> bool:
    """Pass on the output until the program ended; False when the deadline came first.

    The pipe may stay open longer than the program lives, in a background process of its: that is not waited for.
    """
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    pending = b""
    ended = False
    while True:
        ready, _, _ = select.select([pipe], [], [], 0 if ended else max(0.0, min(0.1, deadline.left)))
        data = b""
        if ready:
            data = os.read(pipe, 65536)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _pass_on(line, tail, quiet)
        if ended and not data:
            break
        if ready and not data:  # closed: only its end is to be waited for
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline.left))
        ended = process.poll() is not None
        if not ended and deadline.left <= 0:
            return False
    _pass_on(pending, tail, quiet)
    process.stdout.close()
    return True


def _pass_on(line: bytes, tail: collections.deque[str], quiet: bool) -> None:
    # a progress bar overwrites its line: only its last state is of interest
    text = clean(line.decode(errors="replace").rstrip().rpartition("\r")[2])
    if text:
        tail.append(text[:500])
        if not quiet:
            say(f"    {text}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
