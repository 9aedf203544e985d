"""What the Makefile's targets call: `python3 -m tools up`, and so on. Run in the checkout."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools import setup, stack
from tools.common import CHECKOUT, LOCAL, VENV, ToolError, answer, cache, remove_tree, run, say

OLDEST_PYTHON = (3, 11)


def main(arguments: Sequence[str]) -> int:
    """Run one command; answer the exit status."""
    if sys.version_info < OLDEST_PYTHON:
        say(f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}")
        return 1
    options = _parser().parse_args(arguments)
    options.stack = options.stack or "dev"
    options.app = options.app or None
    try:
        return int(options.run(options) or 0)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tools")
    parser.add_argument("--stack", default="", help="stack; default: dev")
    parser.add_argument("--app", default="", help="folder of an application; default: what the stack's settings name")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function in (
        ("setup", _setup),
        ("up", _up),
        ("preview", _preview),
        ("down", _down),
        ("url", lambda options: print(stack.output(setup.ensure(), options.stack, "url"))),
        ("cert", lambda options: print(stack.certificate(setup.ensure(), options.stack))),
        ("env", _env),
        ("lint", _lint),
        ("clean", _clean),
        ("distclean", _distclean),
    ):
        commands.add_parser(name).set_defaults(run=function)
    test = commands.add_parser("test")
    test.add_argument("parts", nargs="*", help="unit, agent, rig, e2e, examples; default: all")
    test.set_defaults(run=_test)
    return parser


def _setup(_: argparse.Namespace) -> None:
    say(setup.ensure().description)


def _prepare(options: argparse.Namespace) -> setup.Ready:
    ready = setup.ensure()
    say(ready.description)
    stack.ensure(ready, options.stack, options.app)
    stack.clear_dead_locks(options.stack)
    return ready


def _up(options: argparse.Namespace) -> int:
    ready = _prepare(options)
    begun = time.monotonic()
    more = stack.application(options.stack, options.app)
    status = _pulumi(ready, ["up", "--yes", "--skip-preview", "--stack", options.stack, *more])
    if status:
        return status
    url = stack.output(ready, options.stack, "url")
    suffix = "" if options.stack == "dev" else f" STACK={options.stack}"
    say(f"up in {time.monotonic() - begun:.1f} s: {url}")
    say(f'  look at it:      curl --cacert "$(make -s cert{suffix})" {url}')
    say(f"  trust it:        its certificate is {stack.certificate(ready, options.stack)}")
    say(f'  look further:    eval "$(make -s env{suffix})"; pulumi stack output; pulumi preview --diff')
    say(f"  take it down:    make down{suffix}")
    return 0


def _preview(options: argparse.Namespace) -> int:
    ready = _prepare(options)
    more = stack.application(options.stack, options.app)
    return _pulumi(ready, ["preview", "--diff", "--stack", options.stack, *more])


def _down(options: argparse.Namespace) -> int:
    ready = setup.ensure()
    if options.stack not in stack.names():
        say(f"there is no stack {options.stack}")
        return 0
    stack.clear_dead_locks(options.stack)
    return _pulumi(ready, ["destroy", "--yes", "--skip-preview", "--stack", options.stack])


def _pulumi(ready: setup.Ready, arguments: list[str]) -> int:
    """Run the CLI in the checkout until it ends, interrupted or not; answer its exit status."""
    process = subprocess.Popen(["pulumi", *arguments], cwd=CHECKOUT, env=setup.child_environment(ready))
    # A terminal sends SIGINT to the CLI as well, which then finishes what runs; only a second one is urgent.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _env(options: argparse.Namespace) -> int:
    ready = setup.ensure()
    for name, value in setup.variables(ready).items():
        print(f"export {name}={shlex.quote(value)}")
    present = [name for name in setup.OVERRULING if name in os.environ]
    if present:
        print(f"unset {' '.join(present)}")
    stack.ensure(ready, options.stack, options.app)
    if options.stack != "dev":
        print(f"export PULUMI_STACK={shlex.quote(options.stack)}")
    return 0


def _test(options: argparse.Namespace) -> int:
    from tools import testing

    return testing.run_parts(setup.ensure(), options.parts)


def _lint(_: argparse.Namespace) -> int:
    setup.ensure()
    python = VENV / "bin" / "python"
    commands = (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"])
    return max(subprocess.run([python, "-m", *command], cwd=CHECKOUT, check=False).returncode for command in commands)


def _clean(options: argparse.Namespace) -> int:
    """Take local stacks down, then remove machines, images and everything of this checkout."""
    for name in stack.names():
        if not stack.resources(name):
            continue
        settings = CHECKOUT / f"Pulumi.{name}.yaml"
        local = settings.exists() and re.search(r"^ +slipway:target: *local *$", settings.read_text(), re.MULTILINE)
        if not local:
            raise ToolError(
                f"the stack {name} still holds resources that are not on this machine, and its only record is "
                f"{LOCAL}: take it down first (make down STACK={name})"
            )
        options.stack = name
        status = _down(options)
        if status:
            return status
    _clean_machines()
    for name in (".slipway", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache"):
        remove_tree(CHECKOUT / name)
    say(f"kept for the next time: {VENV.name}, and {cache()} (`make distclean` removes both)")
    return 0


def _clean_machines() -> None:
    """Remove the images, bridge and rules of local machines, if no other checkout has machines on them."""
    driver = [str(VENV / "bin" / "python"), "-m", "pulumi_slipway.local"]
    if not Path(driver[0]).exists():
        return
    listed = json.loads(answer([*driver, "list"]) or '{"machines": []}')
    others = ", ".join(sorted(machine["name"] for machine in listed["machines"]))
    if others:
        say(f"the images of local machines are kept: machines of other checkouts stand on them ({others})")
    else:
        run([*driver, "clean"], cwd=CHECKOUT)


def _distclean(options: argparse.Namespace) -> int:
    """All that `clean` removes, the virtual environment, and what is cached for all checkouts."""
    status = _clean(options)
    if status == 0:
        remove_tree(cache())
        remove_tree(Path(VENV))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
