"""The command line of the driver.

Progress for people goes to stderr and one JSON document, on one line, to stdout. Exit code 0, or 1 with one message
on stderr (2 for a command line that makes no sense; `exec` ends as its command does).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi_slipway.local import inventory, requirements
from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.recipe import CODENAMES, DEFAULT_DEBIAN
from pulumi_slipway.local.state import DEFAULT_ROOT, State

if TYPE_CHECKING:
    from pulumi_slipway.local import machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    options = parser.parse_args(given)
    if options.command == "exec" and not options.argv:
        parser.error("exec NAME -- COMMAND...: the command is missing")
    try:
        requirements.require_linux()
        requirements.become_root(given)
        answer = _answer(options, State(Path(options.state)))
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the same command again goes on from here", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


def _answer(options: argparse.Namespace, state: State) -> dict[str, Any]:
    match options.command:
        case "status":
            return inventory.status(state, options.name)
        case "list":
            return {"machines": [inventory.status(state, record.name) for record in state.records()]}
    # Late: `status` is asked often, and answers in half the time without these
    from pulumi_slipway.local import image, machine

    os.umask(0o022)  # what is made here are the folders of machines, whatever their caller's habits
    if options.command in ("create", "start", "exec"):
        requirements.require_programs(requirements.TO_RUN)
        requirements.require_user_namespaces()
    match options.command:
        case "create":
            return machine.create(
                state, options.name, _order(options), labels=dict(options.label), power=not options.no_start
            )
        case "start":
            return machine.start(state, options.name)
        case "stop":
            machine.stop(state, options.name, timeout=0 if options.now else machine.STOP_TIMEOUT)
        case "remove":
            machine.remove(state, options.name, labels=dict(options.label))
        case "exec":
            machine.execute(state, options.name, options.argv)
        case "image" if options.remove:
            return {"removed": image.remove(state, options.debian, options.package)}
        case "image":
            state.prepare()
            recipe = image.host_recipe(options.debian, options.package)
            with image.ensured(state, recipe, rebuild=options.rebuild) as key:
                return image.describe(state, key)
        case "clean":
            machine.clean(state, machines=options.all)
            return {"removed": str(state.root)}
    return inventory.status(state, options.name)


def _order(options: argparse.Namespace) -> machine.Order:
    from pulumi_slipway.local import guest, machine

    seed = guest.Seed(
        user_data=b"" if sys.stdin.isatty() else sys.stdin.buffer.read(),
        public_keys=options.public_key,
        login=options.login,
    )
    return machine.Order(options.debian, seed, options.package, options.memory, options.hostname)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pulumi_slipway.local",
        description="Real Debian machines on this Linux host, booted by systemd-nspawn. Needs root or sudo.",
    )
    parser.add_argument(
        "--state",
        default=os.environ.get("SLIPWAY_LOCAL_STATE") or str(DEFAULT_ROOT),
        help=f"the folder with images and machines (default: $SLIPWAY_LOCAL_STATE, else {DEFAULT_ROOT})",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        if named:
            added.add_argument("name", metavar="NAME")
        return added

    create = command("create", "make and start a machine (user data on stdin), or start the one of that name")
    create.add_argument("--debian", type=int, choices=list(CODENAMES), default=DEFAULT_DEBIAN)
    create.add_argument("--memory", type=int, metavar="MIB", help="limit of its memory in MiB (default: none)")
    create.add_argument("--hostname", default="", help="its host name (default: NAME)")
    create.add_argument(
        "--label", type=_label, action="append", default=[], metavar="KEY=VALUE", help="kept with the machine"
    )
    package = "in the image, too, with nothing of it started; again for more"
    create.add_argument("--package", action="append", default=[], metavar="NAME", help=package)
    create.add_argument(
        "--public-key", action="append", default=[], metavar="LINE", help="who may log in as the default user"
    )
    create.add_argument("--login", default="", metavar="USER", help="the default user's name, or root (for the keys)")
    create.add_argument("--no-start", action="store_true", help="make it, do not start it")
    command("start", "start a machine")
    stop = command("stop", "power a machine off; its data stays")
    stop.add_argument("--now", action="store_true", help="cut the power instead of shutting down")
    removal = command("remove", "remove a machine with its data; an absent one is fine")
    removal.add_argument(
        "--label", type=_label, action="append", default=[], metavar="KEY=VALUE", help="only if it has this label"
    )
    command("status", "say whether a machine exists and runs, and how often it was booted")
    command("list", "say that of all machines", named=False)
    execute = command("exec", "run a command in a machine, as root: exec NAME -- COMMAND...")
    # All that is left, so that a `--` of the command's own is its
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    images = command("image", "build the image of machines, unless it is there", named=False)
    images.add_argument("--debian", type=int, choices=list(CODENAMES), default=DEFAULT_DEBIAN)
    images.add_argument("--package", action="append", default=[], metavar="NAME", help=package)
    choice = images.add_mutually_exclusive_group()
    choice.add_argument("--rebuild", action="store_true", help="build it anew, with today's packages")
    choice.add_argument("--remove", action="store_true", help="remove it")
    removals = command("clean", "remove images, network and state folder, unless there are machines", named=False)
    removals.add_argument("--all", action="store_true", help="remove all machines with their data first")
    return parser


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
