"""Places, messages, locks and child processes: what every other module of `tools` needs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOCAL = CHECKOUT / ".slipway"
"""Everything that belongs to this checkout alone: state, passphrase, the CLI's home. Ignored by git."""
VENV = CHECKOUT / ".venv"


class ToolError(Exception):
    """Something a person has to mend; the message says what and how."""


def cache() -> Path:
    """The user's cache folder of Slipway: what is costly to make and shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "slipway"


def say(message: str) -> None:
    """Tell people what is going on, on stderr: stdout belongs to what was asked for."""
    print(f"slipway: {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    quiet: bool = False,
) -> None:
    """Run a child process to its end; its output goes to stderr, or with `quiet` is shown only on failure.

    A quiet one that takes long says every half minute that it is alive. Raises ToolError when it cannot be started or
    fails.
    """
    line = " ".join(map(str, command))
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else sys.stderr.fileno(),
            stderr=subprocess.STDOUT if quiet else None,
        )
    except OSError as error:
        raise ToolError(f"cannot run {command[0]}: {error}") from error
    begun = time.monotonic()
    with process:
        while True:
            try:
                printed, _ = process.communicate(timeout=30)
                break
            except subprocess.TimeoutExpired:
                if quiet:
                    say(f"... {time.monotonic() - begun:.0f} s")
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        tail = printed.decode(errors="replace")[-2000:] if quiet else ""
        raise ToolError(f"`{line}` failed with exit status {process.returncode}\n{tail}".rstrip())


def answer(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
    """What a child process prints, stripped; empty when it is missing or fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=None if env is None else {**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, which ends with the process however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is busy with {what} ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def made_atomically(target: Path, what: str) -> Iterator[Path | None]:
    """Yield a scratch folder that becomes `target` when the block ends well; None when `target` exists already.

    Safe to interrupt (a scratch folder of a dead run is removed by the next one) and to run twice at once.
    """
    if target.exists():
        yield None
        return
    with lock(target.with_name(target.name + ".lock"), what):
        if target.exists():
            yield None
            return
        for stale in target.parent.glob(f"{target.name}.partial-*"):
            remove_tree(stale)
        scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
        try:
            yield scratch
            scratch.chmod(0o755)
            scratch.rename(target)
        finally:
            remove_tree(scratch)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, the write-protected folders of a Go module cache too; absent is fine."""
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)  # noqa: PTH101 - called for each of ten thousand folders
    shutil.rmtree(path, ignore_errors=True)


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file's content so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        scratch = Path(name)
        scratch.chmod(mode)
        scratch.replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
