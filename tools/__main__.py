"""What the Makefile's targets call: `python3 -m tools up`, and so on. Run in the checkout."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools import setup, stack, system
from tools.common import CHECKOUT, LOCAL, VENV, ToolError, cache, remove_tree, say

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
        ("live", _live),
        ("lint", _lint),
        ("clean", _clean),
        ("distclean", _distclean),
    ):
        commands.add_parser(name).set_defaults(run=function)
    tool = commands.add_parser("slipway")
    tool.add_argument("arguments", nargs="+", help="of the command `slipway`")
    tool.set_defaults(run=_slipway)
    test = commands.add_parser("test")
    test.add_argument(
        "parts", nargs="*", help="unit, rig, agent, e2e, examples (default: all of these); long, clouds, apps, faults"
    )
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
    stack.check(options.stack, options.app)
    local = stack.target(options.stack, options.app) == "local"
    if local:
        system.become_able("a machine of this host's own")
    ready = _prepare(options)
    if stack.resources(options.stack):
        say("bringing the stack to what is wanted: seconds where little has changed, half a minute for a new server")
    elif local:
        say("launching: about a minute; another one, once, where the machine's image has to be built")
    else:
        say("launching: some minutes for a server; ten and more where a cloud makes a database, too")
    begun = time.monotonic()
    status = _pulumi(ready, ["up", "--yes", "--skip-preview", "--stack", options.stack])
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
    return _pulumi(ready, ["preview", "--diff", "--stack", options.stack])


def _down(options: argparse.Namespace) -> int:
    ready = setup.ensure()
    if options.stack not in stack.names():
        say(f"there is no stack {options.stack}")
        return 0
    stack.clear_dead_locks(options.stack)
    if stack.resources(options.stack) and stack.target(options.stack, None) == "local":
        system.become_able("taking a machine of this host down")
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
    stack.ensure(ready, options.stack, options.app)
    exported = setup.variables(ready, options.stack)
    for name, value in exported.items():
        print(f"export {name}={shlex.quote(value)}")
    present = [name for name in setup.OVERRULING if name in os.environ and name not in exported]
    if present:
        print(f"unset {' '.join(present)}")
    return 0


def _slipway(options: argparse.Namespace) -> int:
    """The operator's tool on this checkout's stack."""
    ready = setup.ensure()
    command = [VENV / "bin" / "slipway", *options.arguments, "--stack", options.stack]
    return subprocess.run(command, cwd=CHECKOUT, env=setup.child_environment(ready), check=False).returncode


def _test(options: argparse.Namespace) -> int:
    from tools import testing

    return testing.run_parts(options.parts)


def _live(options: argparse.Namespace) -> int:
    from tools import live

    return live.check(setup.ensure(), options.stack)


def _lint(_: argparse.Namespace) -> int:
    setup.ensure()
    python = VENV / "bin" / "python"
    commands = (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"])
    return max(subprocess.run([python, "-m", *command], cwd=CHECKOUT, check=False).returncode for command in commands)


def _clean(options: argparse.Namespace) -> int:
    """Take local stacks down, then remove machines, images and everything of this checkout."""
    others = stack.holding_elsewhere()
    if others:
        raise ToolError(
            f"the state in {setup.STATE} would go too, and it is the only record of what these hold: "
            f"{', '.join(others)}. Take them down first: `pulumi destroy --stack NAME` in their project"
        )
    for name in stack.names():
        if not stack.resources(name):
            continue
        if stack.target(name, None) != "local":
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
    """Remove the images, bridge and rules of local machines, if no other checkout has machines on them.

    Whether there are any is the driver's to decide, under its locks: it refuses, and then all of it is kept.
    """
    driver = [str(VENV / "bin" / "python"), "-m", "pulumi_slipway.local"]
    if not Path(driver[0]).exists():
        return
    done = subprocess.run([*driver, "clean"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"the images of local machines are kept: {done.stderr.strip().removeprefix('error: ')}")


def _distclean(options: argparse.Namespace) -> int:
    """All that `clean` removes, the virtual environment, and what is cached for all checkouts."""
    status = _clean(options)
    if status == 0:
        remove_tree(cache())
        remove_tree(Path(VENV))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
