"""Does a release lose a request?

    python -m bench.release_under_load [--rate 200] [--seconds 16] [--keep]

Launches a copy of the guestbook on a local machine of its own, then puts it under load four times: with a new
connection for each request and with kept ones, each without a release and with one, whose ``pulumi up`` begins two
seconds after the load and carries a changed template. Prints what clients saw.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.background import start_load
from bench.load import run_load
from bench.project import CHECKOUT, HOME, BenchError, Project, environment, machine_line, table
from bench.result import LoadResult, ms

START = 2.0
"""Seconds of load before the release begins."""


@dataclass(frozen=True)
class Run:
    """One load with or without a release."""

    result: LoadResult
    old: str
    new: str | None
    up_seconds: float | None
    """How long ``pulumi up`` took."""
    up_begin: float | None = None
    """When it began: seconds since the start of the load."""
    up_printed: str = ""

    @property
    def missed(self) -> bool:
        """Whether the load ended before the new release was there: that tells nothing about the switch."""
        return self.new is not None and not self.result.failed and list(self.result.markers) == [self.old]

    @property
    def problem(self) -> str | None:
        """Why this run does not show a release without loss; ``None`` when it does."""
        if self.result.failed:
            return f"{self.result.failed} requests failed: {self.result.failures}"
        wanted = [self.old] if self.new is None else [self.old, self.new]
        seen = list(self.result.markers)
        if seen != wanted:
            return f"the versions seen are {seen}, not {wanted}: the switch was not inside the load"
        counted = sum(marker.count for marker in self.result.markers.values())
        return None if counted == self.result.total else f"{self.result.total - counted} answers told no version"


class Site:
    """The copy of the guestbook and the machine it runs on."""

    def __init__(self) -> None:
        self.version = 0
        # Versions of an earlier run, which the machine may still know, are not these.
        self._run = secrets.token_hex(2)
        self._copy = HOME / "guestbook"
        shutil.rmtree(self._copy, ignore_errors=True)
        ignored = shutil.ignore_patterns("instance", "__pycache__", "*.mo", ".pytest_cache", "tests")
        shutil.copytree(CHECKOUT / "examples" / "guestbook", self._copy, ignore=ignored)
        self._write_version()
        program = (CHECKOUT / "__main__.py").read_text()
        self._project = Project("slipway", environment(), program, self._settings())

    @property
    def marker(self) -> str:
        """What the pages of the present version say."""
        return f"version-{self.version}-{self._run}"

    def launch(self) -> None:
        """Make the machine, or bring the one of an earlier run up to date."""
        self._project.up()
        outputs = self._project.outputs()
        self.url = str(outputs["url"])
        self.ca = HOME / "certificate.pem"
        self.ca.write_text(outputs["certificate"])

    def release(self) -> str:
        """Change the template and bring the change live; what Pulumi printed."""
        self.version += 1
        self._write_version()
        return self._project.up()

    def destroy(self) -> None:
        """Take everything away again."""
        self._project.destroy()
        shutil.rmtree(HOME)

    def _write_version(self) -> None:
        original = (CHECKOUT / "examples" / "guestbook" / "guestbook" / "templates" / "base.html").read_text()
        changed = original.replace("<body>", f'<body data-marker="{self.marker}">')
        if changed == original:
            raise BenchError("the guestbook's base.html has no <body> to mark")
        (self._copy / "guestbook" / "templates" / "base.html").write_text(changed)

    def _settings(self) -> dict[str, Any]:
        return {
            "target": "local",
            "app": {
                "path": str(self._copy),
                "build": ["pybabel compile -d guestbook/translations"],
                "release": ["flask db upgrade"],
                "health": {"path": "/healthz"},
            },
        }


def observe(site: Site, rate: float, seconds: float, keepalive: bool, release: bool) -> Run:
    """One load, and in its course a release."""
    old = site.marker
    begin: float | None = None
    took: float | None = None
    printed = ""
    with start_load(site.url, rate, seconds, keepalive, ca=site.ca) as load:
        if release:
            time.sleep(START)
            begin = time.time()
            printed = site.release()
            took = time.time() - begin
        result = load.wait()
    started = None if begin is None else begin - result.started_at
    return Run(result, old, site.marker if release else None, took, started, printed)


def row(run: Run) -> list[str]:
    """A line of the table."""
    result = run.result
    switch = result.switch(run.old, run.new) if run.new else None
    counts = [str(seen.count) for seen in result.markers.values()]
    return [
        "keep-alive" if result.keepalive else "new connections",
        f"pulumi up, {run.up_seconds:.1f} s" if run.up_seconds is not None else "none",
        f"{result.failed} of {result.total}",
        ms(result.latency(50)),
        ms(result.latency(99)),
        ms(result.latency(100)),
        " / ".join(counts) or "none",
        f"{switch.last_old:.3f} s / {switch.first_new:.3f} s" if switch else "",
        str(switch.returned) if switch else "",
        ms(result.lag),
    ]


HEADING = [
    "load",
    "release",
    "failed",
    "p50",
    "p99",
    "max",
    "answers old / new",
    "last old / first new",
    "old after new",
    "generator late (p99)",
]


def main(argv: list[str] | None = None) -> int:
    """The command. Exit status 0: no request was lost and each switch was seen; 1: otherwise; 2: not measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.release_under_load", description="Releases the guestbook under load."
    )
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default 200)")
    parser.add_argument("--seconds", type=float, default=16.0, help="length of each load (default 16)")
    parser.add_argument("--keep", action="store_true", help="keep the machine for a next run")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write the records of all requests there")
    args = parser.parse_args(argv)
    try:
        return measure(args.rate, args.seconds, args.keep, args.save)
    except BenchError as error:
        print(f"bench.release_under_load: {error}", file=sys.stderr)
        return 2


def measure(rate: float, seconds: float, keep: bool, save: Path | None) -> int:
    """Launch, load four times, print the table; tell by the exit status whether all went well."""
    site = Site()
    runs: list[Run] = []
    try:
        say("launching the guestbook on a machine of its own")
        site.launch()
        run_load(site.url, rate / 4, 2, ca=site.ca)  # the first requests load what is loaded late
        for keepalive in (False, True):
            runs.append(tell_and_observe(site, rate, seconds, keepalive, release=False))
            for length in (seconds, 2 * seconds, 4 * seconds):
                runs.append(tell_and_observe(site, rate, length, keepalive, release=True))
                if not runs[-1].missed:
                    break
                say("the load was over before the release was live: again, for longer")
    finally:
        if runs:
            print(table([HEADING, *map(row, runs)]))
            print(machine_line())
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            for number, run in enumerate(runs, 1):
                (save / f"run-{number}.json").write_text(run.result.to_json())
        if not keep:
            site.destroy()
    return report_problems(runs)


def report_problems(runs: list[Run]) -> int:
    """Print what was not shown, and tell by the exit status whether there was any of that.

    A load that ended too early does not count when a longer one followed.
    """
    status = 0
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        repeated = following is not None and following.new is not None
        if run.problem is None or (run.missed and repeated):
            continue
        status = 1
        print(f"\nNOT SHOWN: {run.problem}\n{run.result.text()}")
        if run.up_begin is not None:
            print(f"`pulumi up` began at {run.up_begin:.3f} s and printed:\n{run.up_printed}")
    return status


def tell_and_observe(site: Site, rate: float, seconds: float, keepalive: bool, release: bool) -> Run:
    """``observe``, announced."""
    kind = "keep-alive" if keepalive else "new connections"
    say(f"{rate:g} GET a second for {seconds:g} s, {kind}, {'with a' if release else 'no'} release")
    return observe(site, rate, seconds, keepalive, release)


def say(message: str) -> None:
    """Tell people what goes on."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
