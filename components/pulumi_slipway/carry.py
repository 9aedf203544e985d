"""`python -m pulumi_slipway.carry`: what becomes of the apps' data when a server's machine is another one than before.

Started by the data command of each server, which is never replaced: what it printed last is the machine that had the
data until now. One JSON document on stdin (it holds a secret): `{"host": Host at its own address, "address": the
address that it will finally have, "private_key": …, "carry_data": true | false | null}`. Progress on stderr, the host
with its final address as one JSON line on stdout.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from .previous import previous_output
from .ssh import say


class NotCarriedError(Exception):
    """The data are where they were; the message says why, and what to do."""


def main() -> int:
    request = json.load(sys.stdin)
    host: dict[str, Any] = request["host"]
    before = previous_output()
    try:
        if before and before["id"] != host["id"]:
            settle(before, request)
    except NotCarriedError as error:
        say(f"error: {error}")
        return 1
    print(json.dumps({**host, "address": request["address"], "own_address": host["address"]}))
    return 0


def settle(before: dict[str, Any], request: dict[str, Any]) -> None:
    """Decides about the data of the machine `before`; raises `NotCarriedError`."""
    if request["carry_data"] is False:
        say(f"data of the apps on {before['name']} are not brought to {request['host']['name']} (carry_data: false)")
        return
    raise NotCarriedError(
        f"{request['host']['name']} is to take the place of {before['name']}: what becomes of the apps' data there? "
        "Set carry_data to true to have them brought over, or to false to let them go with the old machine."
    )


if __name__ == "__main__":
    sys.exit(main())
