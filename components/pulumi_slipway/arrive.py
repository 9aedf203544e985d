"""`python -m pulumi_slipway.arrive`: waits until a machine answers at the address that it was just given.

Started by the arrive command of each server whose address outlives its machines. One JSON document on stdin (it holds
a secret): `{"host": Host, "since": …, "private_key": …, "timeout": seconds}`; progress on stderr, the host as one JSON
line on stdout. For a machine that has been at this address since then, nothing is done; one that another had taken the
place of meanwhile, and that comes back, is waited for again.

An address that has gone over to another machine may lead to the former one for some more seconds. That one shows its
own host key, is sent nothing, and is asked again for `WRONG_KEY_PATIENCE` seconds; after that the key is told as wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from .previous import previous_output
from .ssh import HANDSHAKE_TIMEOUT, SshError, WrongHostKeyError, connect, say

WRONG_KEY_PATIENCE = 60.0
"""Seconds in which another machine may still answer, counted from the first time that one does."""

_PAUSE = 0.5
_PAUSE_WRONG_KEY = 2.0
"""Longer: sshd holds it against whoever leaves again and again before logging in."""


class NotArrivedError(Exception):
    """The machine did not answer at the address in time; the message says what did."""


def wait(host: Mapping[str, Any], private_key: str, timeout: float) -> None:
    """Returns when `host` has answered at its address, with its own key; raises `NotArrivedError` or
    `WrongHostKeyError`."""
    place = f"{host['address']}:{host['port']}"
    say(f"waiting for {host['name']} at {place} (at most {timeout:.0f} s)")
    deadline = time.monotonic() + timeout
    wrong_until: float | None = None
    trouble = "it was not tried"
    while (left := deadline - time.monotonic()) > 0:
        pause = _PAUSE
        try:
            limit = min(HANDSHAKE_TIMEOUT, left)  # a listener that stays silent must not outlast the time either
            with connect(
                host["address"], host["port"], host["user"], private_key, [host["host_key"]], timeout=limit
            ) as connection:
                say(f"{host['name']} answers at {connection.address}")
                return
        except WrongHostKeyError as error:
            if wrong_until is None:
                say(f"another machine still answers at {place}; it is sent nothing")
                wrong_until = time.monotonic() + WRONG_KEY_PATIENCE
            elif time.monotonic() > wrong_until:
                raise
            trouble, pause = str(error), _PAUSE_WRONG_KEY
        except SshError as error:
            trouble = str(error)
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
    raise NotArrivedError(
        f"{host['name']} did not answer at {place} within {timeout:.0f} s. Last seen: {trouble}. "
        "Look whether the address was given to it, then run the same command again."
    )


def main() -> int:
    request = json.load(sys.stdin)
    host, before = {**request["host"], "since": request["since"]}, previous_output()
    if any(before.get(key) != host[key] for key in ("id", "address", "since")):
        try:
            wait(host, request["private_key"], request["timeout"])
        except (NotArrivedError, SshError) as error:
            say(f"error: {error}")
            return 1
    print(json.dumps(host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
