"""``python -m tests.rig.clouds``: look into the cloud account that SLIPWAY_RIG_ACCOUNT names, and change it.

One JSON document goes to stdout; exit code 0, or 1 with a message on stderr. ID is a thing's id, or the name of a
machine, database or public address.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from . import inventory, network
from .account import Account, CloudError

_COMMANDS = {
    "list": "what the account has",
    "describe": "all that is known of one of these",
    "delete": "remove one behind Pulumi's back",
    "open": "take the packet filter of a machine away",
    "close": "put it in force again",
    "empty": "remove all that the account has",
}
_WITHOUT_ID = ("list", "empty")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.clouds", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name not in _WITHOUT_ID:
            command.add_argument("id", metavar="ID")
    options = parser.parse_args(arguments)
    try:
        answer = _answer(Account.open(), options.command, getattr(options, "id", ""))
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=1))
    return 0


def _answer(account: Account, command: str, identity: str) -> dict[str, Any]:
    match command:
        case "describe":
            return inventory.described(account, identity)
        case "delete":
            inventory.delete(account, identity)
        case "empty":
            inventory.empty(account)
        case "open" | "close":
            machine = inventory.machine_of(account, identity)
            if not machine:
                raise CloudError(f"{identity} is no machine and has none")
            (network.open_filter if command == "open" else network.close_filter)(account, machine)
    return inventory.listed(account)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
