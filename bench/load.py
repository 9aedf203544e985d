"""An open-loop load generator: requests leave by the clock, whether or not earlier ones were answered.

A closed loop waits for the slow answers it should count. Here request number *i* is due at ``i / rate`` seconds,
and its latency counts from that moment: what a stall costs everybody who would have come during it is seen.

    python -m bench.load https://10.77.0.2/ --ca cert.pem --rate 200 --seconds 16 --keepalive

As a library: ``run_load`` here (blocks), ``bench.background.start_load`` (in a process of its own, so that the
caller's work does not disturb the clock).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import ssl
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from bench.client import Connection, FailureError
from bench.result import LoadResult, Sample
from bench.targets import RefusedTargetError, Target, parse_target

__all__ = ["LoadResult", "LoadSpec", "Sample", "generate", "run_load"]

MARKER = r'data-marker="([^"]*)"'

_over = threading.Event()
"""Somebody has asked the command to send no more."""


@dataclass(frozen=True)
class LoadSpec:
    """What to send. Times are in seconds, the rate in requests a second."""

    target: Target
    rate: float = 200.0
    seconds: float = 16.0
    keepalive: bool = False
    """A pool of connections that are used again, or a new connection for each request."""
    timeout: float = 10.0
    """Counted from the moment the request leaves, connecting included."""
    ca: Path | None = None
    """The certificates to trust, instead of the system's."""
    marker: str = MARKER
    """A regular expression whose first group tells which version of the site answered."""
    status: int = 200
    """Any other status is a failure."""

    @property
    def total(self) -> int:
        """How many requests are sent."""
        return round(self.rate * self.seconds)


class _Generator:
    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._marker = re.compile(spec.marker.encode())
        self._context = ssl.create_default_context(cafile=spec.ca) if spec.target.tls else None
        self._idle: deque[Connection] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._start = 0.0

    async def run(self) -> LoadResult:
        spec, loop = self._spec, asyncio.get_running_loop()
        started_at, self._start = time.time(), loop.time()
        tasks = []
        for index in range(spec.total):
            due = index / spec.rate
            wait = self._start + due - loop.time()
            # Even when late it must let go, or the requests already made would not leave.
            await asyncio.sleep(max(wait, 0))
            if _over.is_set():
                break
            tasks.append(asyncio.create_task(self._one(due)))
        samples = await asyncio.gather(*tasks)
        for connection in self._idle:
            self._close(connection)
        await asyncio.gather(*self._closing)
        return LoadResult(
            url=spec.target.url,
            rate=spec.rate,
            seconds=spec.seconds,
            keepalive=spec.keepalive,
            started_at=started_at,
            samples=list(samples),
        )

    async def _one(self, due: float) -> Sample:
        """Send one request and tell what became of it."""
        sent = self._now()
        status: int | None = None
        marker: str | None = None
        failure: str | None = None
        detail: str | None = None
        try:
            async with asyncio.timeout(self._spec.timeout):
                status, body = await self._ask()
        except TimeoutError:
            failure, detail = "timeout", f"no whole answer within {self._spec.timeout:g} s"
        except FailureError as error:
            failure, detail = error.kind, error.detail
        else:
            if found := self._marker.search(body):
                marker = found[1].decode("utf-8", "replace")
            if status != self._spec.status:
                failure, detail = f"status-{status}", body[:120].decode("utf-8", "replace")
        return Sample(due, sent, self._now(), status, marker, failure, detail)

    async def _ask(self) -> tuple[int, bytes]:
        keepalive = self._spec.keepalive
        connection = self._pooled() or await Connection.open(self._spec.target, self._context)
        try:
            answer = await connection.get(self._spec.target, keepalive=keepalive)
        except BaseException:
            connection.abort()
            raise
        if keepalive and answer.reusable:
            self._idle.append(connection)
        else:
            self._close(connection)
        return answer.status, answer.body

    def _pooled(self) -> Connection | None:
        """The connection that has been idle longest, so that all of them are in use."""
        while self._idle:
            connection = self._idle.popleft()
            if connection.usable:
                return connection
            connection.abort()
        return None

    def _close(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._start


async def generate(spec: LoadSpec) -> LoadResult:
    """Send all requests of ``spec`` and wait for each to be answered, to fail or to time out."""
    return await _Generator(spec).run()


def run_load(
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
) -> LoadResult:
    """Put load on ``url`` and return what happened to each request: see ``LoadSpec`` for units and defaults.

    ``resolve`` is the address to connect to where the URL holds a name. Blocks for ``seconds`` and the last answers.
    Raises ``RefusedTargetError`` for a target that is no local machine.
    """
    target = parse_target(url, resolve)
    spec = LoadSpec(target, rate, seconds, keepalive, timeout, ca, marker, status)
    return asyncio.run(generate(spec))


def _go_first() -> None:
    """Run before everything else on this machine: clients elsewhere would have processors of their own.

    What the generator has to wait for would be counted as the server's slowness. Only root is given it. A nice value
    would not do: the kernel weighs those within a session only.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def main(argv: list[str] | None = None) -> int:
    """The command. Exit status 0: every request was answered; 1: some failed; 2: nothing was sent."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__.splitlines()[0])
    parser.add_argument("url", help="http(s)://ADDRESS/path; a private address of this host or a machine on it")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default 200)")
    parser.add_argument("--seconds", type=float, default=16.0, help="for how long (default 16)")
    parser.add_argument("--keepalive", action="store_true", help="use connections again (default: a new one each)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one request (default 10)")
    parser.add_argument("--ca", type=Path, help="PEM file with the certificate to trust")
    parser.add_argument("--resolve", metavar="ADDRESS", help="connect to this address, whatever the URL's host")
    parser.add_argument("--marker", default=MARKER, help="regular expression; its group 1 is the version seen")
    parser.add_argument("--status", type=int, default=200, help="the expected status (default 200)")
    parser.add_argument("--save", type=Path, help="write every request's record to this file as JSON")
    args = parser.parse_args(argv)
    if args.rate <= 0 or args.seconds <= 0 or args.timeout <= 0:
        parser.error("--rate, --seconds and --timeout must be above 0")
    options = dict(vars(args))
    url, save = options.pop("url"), options.pop("save")
    try:
        parse_target(url, args.resolve)
        if args.ca is not None and not args.ca.is_file():
            raise FileNotFoundError(f"--ca {args.ca}: there is no such file")
        _go_first()
        signal.signal(signal.SIGTERM, lambda *_: _over.set())
        print(f"{args.rate:g} requests a second for {args.seconds:g} s to {url}", file=sys.stderr, flush=True)
        result = run_load(url, **options)
    except (RefusedTargetError, OSError, re.error) as error:
        print(error, file=sys.stderr)
        return 2
    if save is not None:
        save.write_text(result.to_json())
    print(result.text())
    return 1 if result.failed else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
