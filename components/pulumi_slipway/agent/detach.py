"""Work that outlives the connection it was asked for over.

The work is done by a child in a session of its own that writes its progress to a file; the process that was asked
only relays that file, and the result at the end. When the connection goes, the relay goes with it and the work goes
on; asking again finds it under the same lock, or done.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files, paths
from .errors import AgentError

Answer = dict[str, Any]

_KEEP = 24 * 3600
"""Seconds that the output of a command stays which lost its relay."""

_LEISURE = 10
"""What is added to the niceness for what nobody waits for."""


def detached(work: Callable[[], Answer], afterwards: Callable[[], None] | None = None) -> Answer:
    """The answer of `work`, done in a child that survives this process; nobody waits for what it does `afterwards`."""
    jobs = _folder()
    _prune(jobs)
    job = jobs / uuid.uuid4().hex
    job.mkdir(mode=0o700)
    (job / "output").touch(mode=0o600)
    alive, ours = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(alive)
        _become_independent(job, work, ours, afterwards)
    os.close(ours)
    os.waitpid(child, 0)
    try:
        _relay(job / "output", alive)
        answer = files.read_json(job / "answer")
    finally:
        os.close(alive)
    if answer is None:
        raise AgentError("the work on the server ended without an answer (was it killed?): run it again")
    shutil.rmtree(job, ignore_errors=True)
    return answer


def _become_independent(
    job: Path, work: Callable[[], Answer], alive: int, afterwards: Callable[[], None] | None
) -> None:
    """In the child: fork once more, so that nobody is our parent, then work; never returns."""
    status = 1
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        # A handler, not SIG_IGN: what is ignored would be ignored by the programs we start, too. SIGTERM ends us, as
        # anything may: a machine that shuts down is not kept waiting.
        signal.signal(signal.SIGHUP, lambda *_: None)
        output = os.open(job / "output", os.O_WRONLY | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(alive, False)
        answer = work()
        files.write_atomic(job / "answer", json.dumps(answer).encode(), 0o600)
        status = 0
        if afterwards is not None:
            os.close(alive)
            os.nice(_LEISURE)
            afterwards()
    except BaseException as error:  # the last line of defence of a process that nobody watches
        with contextlib.suppress(OSError):
            os.write(2, f"the agent itself failed: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


def _relay(output: Path, alive: int) -> None:
    """Pass on what the child writes, until it is gone (which its end of the pipe tells at once)."""
    with output.open("rb") as source:
        gone = False
        while True:
            data = source.read(65536)
            if data:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()
            elif gone:
                return
            else:
                gone = bool(select.select([alive], [], [], 0.02)[0])


def _folder() -> Path:
    files.folder(paths.volatile(), 0o700)
    return files.folder(paths.volatile() / "jobs", 0o700)


def _prune(jobs: Path) -> None:
    oldest = time.time() - _KEEP
    for job in jobs.iterdir():
        with contextlib.suppress(OSError):
            if job.stat().st_mtime < oldest:
                shutil.rmtree(job, ignore_errors=True)
