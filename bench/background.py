"""Load from a process of its own, while the caller does what is to be measured."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import MARKER
from bench.result import LoadResult
from bench.targets import parse_target

_ROOT = Path(__file__).resolve().parent.parent


class RunningLoad:
    """A run that goes on: see ``start_load``."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, limit: float) -> None:
        self._process = process
        self._folder = folder
        self._limit = limit

    @property
    def begun(self) -> bool:
        """Whether the first requests have left, or the process has given up."""
        return "\n" in self._said() or self._process.poll() is not None

    def wait(self) -> LoadResult:
        """Wait for the end of the run. Raises ``RuntimeError`` with what the generator said if it gave up."""
        if self._process.wait(timeout=self._limit) not in {0, 1}:
            raise RuntimeError(f"the load generator gave up: {self._said().strip()}")
        return LoadResult.from_json((self._folder / "result.json").read_text())

    def finish(self) -> LoadResult:
        """Send nothing more, and wait for what is under way."""
        self._process.terminate()
        return self.wait()

    def stop(self) -> None:
        """End the process, if it still runs."""
        self._process.kill()
        self._process.wait()

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")


@contextlib.contextmanager
def start_load(
    url: str,
    rate: float = 200.0,
    seconds: float = 16.0,
    keepalive: bool = False,
    *,
    ca: Path | None = None,
    resolve: str | None = None,
    timeout: float = 10.0,
    marker: str = MARKER,
    status: int = 200,
) -> Iterator[RunningLoad]:
    """Put load on ``url`` in the background: the arguments of ``run_load``. Enters when the first requests leave.

    with start_load(url, ca=cert) as load:
        release()
        result = load.wait()
    """
    parse_target(url, resolve)
    command = [sys.executable, "-m", "bench.load", url, f"--rate={rate}", f"--seconds={seconds}"]
    command += [f"--timeout={timeout}", f"--marker={marker}", f"--status={status}"]
    command += ["--keepalive"] if keepalive else []
    command += [f"--ca={ca.resolve()}"] if ca else []
    command += [f"--resolve={resolve}"] if resolve else []
    with tempfile.TemporaryDirectory(prefix="slipway-load-") as name:
        folder = Path(name)
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [*command, f"--save={folder / 'result.json'}"],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        load = RunningLoad(process, folder, seconds + timeout + 30)
        try:
            while not load.begun:
                time.sleep(0.01)
            yield load
        finally:
            load.stop()
