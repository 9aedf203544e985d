"""What does an ``up`` cost that has nothing to do?

    python -m bench.noop [--rounds 7]

Times, in turns, so that whatever else the machine does falls on all of them alike: ``make up`` and plain ``pulumi up``
of the stack ``dev``, both with nothing to change, and ``pulumi up`` of an empty program on the same engine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from bench.project import CHECKOUT, BenchError, Project, changes, environment, machine_line, table

LIMIT = 1.5
"""Seconds that ``make up`` may take more than the empty program."""


def main(argv: list[str] | None = None) -> int:
    """The command. Exit status 0: within the limit; 1: above it; 2: not measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.noop", description="Times an `up` with nothing to do.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed (default 7)")
    parser.add_argument("--stack", default="dev", help="the stack that is up and complete (default dev)")
    args = parser.parse_args(argv)
    try:
        return measure(max(args.rounds, 1), args.stack)
    except BenchError as error:
        print(f"bench.noop: {error}", file=sys.stderr)
        return 2


def measure(rounds: int, stack: str) -> int:
    """Time the three, print the table, and tell by the exit status whether ``make up`` is within the limit."""
    print(f"bringing the stack {stack} up, so that nothing is left to do", file=sys.stderr, flush=True)
    make_up = ["make", "-s", "up", f"STACK={stack}"]
    run(make_up, None)
    env = environment()
    empty = Project("empty", env, "")
    up = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color=never", f"--stack={stack}"]
    commands: dict[str, Callable[[], str]] = {
        "make up": lambda: run(make_up, None),
        "pulumi up": lambda: run(up, env),
        "empty program": empty.up,
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    try:
        empty.up()
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for name, command in commands.items():
                begin = time.perf_counter()
                printed = command()
                times[name].append(time.perf_counter() - begin)
                if changed := changes(printed):
                    raise BenchError(f"`{name}` should have had nothing to do, but: {', '.join(changed)}")
    finally:
        empty.destroy()
    return report(times)


def report(times: dict[str, list[float]]) -> int:
    """Print the table and the verdict."""
    base = times["empty program"]
    rows = [["nothing to do", "min", "median", "max", "more than empty (min)", "(median)"]]
    for name, values in times.items():
        low, middle = min(values), statistics.median(values)
        more = [f"{low - min(base):+.2f} s", f"{middle - statistics.median(base):+.2f} s"]
        rows.append(
            [name, f"{low:.2f} s", f"{middle:.2f} s", f"{max(values):.2f} s", *(more if values != base else ["", ""])]
        )
    print(table(rows))
    print(machine_line())
    more_by = statistics.median(times["make up"]) - statistics.median(base)
    verdict = "within" if more_by <= LIMIT else "ABOVE"
    print(f"make up takes {more_by:.2f} s more than an empty program (median): {verdict} the limit of {LIMIT} s")
    return 0 if more_by <= LIMIT else 1


def run(command: list[str], env: dict[str, str] | None) -> str:
    """Run a command in the checkout; what it printed. Raises ``BenchError`` with that when it fails."""
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"`{' '.join(command)}` failed:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
