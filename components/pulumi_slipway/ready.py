"""`python -m pulumi_slipway.ready`: waits until a new server is ready, and makes its permanent host key the only one.

Started by the ready command of each server (`ready_command`). One JSON document on stdin (it holds secrets), progress
on stderr, the host as one JSON line on stdout. May be run again at any time: each step finds out what is left to do.
For a machine that was made ready before nothing is: it may not even be at the address it had then.

1. Connect, pinned to the boot key (from the user data) or, on a later run, to the permanent one. Refused connections
   and silent listeners are tried again until the time is up; a wrong host key ends it at once. Only where a launch
   script sets the machine up, sshd shows the image's keys until the script has put the boot key there: such a machine
   is sent nothing either, but tried again for the `patience` that was given.
2. Bring the agent; wait for cloud-init, showing what it does.
3. Install the permanent key over this connection; connect again, pinned to it alone; remove all other host keys.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from .agent_bundle import agent_bundle_document
from .places import AGENT
from .previous import previous_output
from .ssh import HANDSHAKE_TIMEOUT, Connection, RefusedKeyError, SshError, WrongHostKeyError, connect, say

RELOAD_TIMEOUT = 15.0
"""Seconds that sshd may take to come back with its new host keys."""


class NotReadyError(Exception):
    """The server did not become ready; the message says how far it came and what to do."""


@dataclass(frozen=True)
class Request:
    """What the ready step is told."""

    id: str
    name: str
    address: str
    private_address: str
    port: int
    user: str
    private_key: str
    boot_public: str
    host_private: str
    host_public: str
    timeout: float
    patience: float = 0.0
    """Seconds in which another host key may be shown, counted from the first time that one is."""

    def host(self) -> dict[str, Any]:
        """The `Host` of this server (see `host.py`)."""
        return {
            "id": self.id,
            "name": self.name,
            "address": self.address,
            "private_address": self.private_address,
            "port": self.port,
            "user": self.user,
            "host_key": self.host_public,
            "proxy": "",
        }

    def connect(
        self, host_keys: Sequence[str], timeout: float = HANDSHAKE_TIMEOUT
    ) -> AbstractContextManager[Connection]:
        return connect(self.address, self.port, self.user, self.private_key, host_keys, timeout)


def make_ready(request: Request) -> None:
    """Does the three steps above; raises `NotReadyError` or `WrongHostKeyError`."""
    deadline = time.monotonic() + request.timeout
    _first_contact(request, deadline)
    with _reloaded(request) as connection:
        _call(connection, "host-keys", {"only": True}, timeout=60)
    with _reloaded(request):
        say(f"{request.address} is ready; its permanent host key is the only one left")


def _first_contact(request: Request, deadline: float) -> None:
    """Connects as soon as sshd, the deploy user and the agent's place are there, and does all but the last act."""
    say(f"waiting for {request.address}:{request.port} (at most {request.timeout:.0f} s)")
    trouble = "it was not tried"
    wrong_until: float | None = None
    while (left := deadline - time.monotonic()) > 0:
        pause = 0.5
        try:
            # a listener that accepts and stays silent must not outlast the time either
            with request.connect(
                [request.boot_public, request.host_public], min(HANDSHAKE_TIMEOUT, left)
            ) as connection:
                if connection.run(f"test -x {AGENT}").status == 0:
                    _prepare(request, connection, deadline)
                    return
                trouble = f"{AGENT} is not there yet: cloud-init has not come to the bootstrap script"
        except NotReadyError:
            raise
        except WrongHostKeyError as error:
            if wrong_until is None:
                wrong_until = time.monotonic() + request.patience
            if time.monotonic() >= wrong_until:
                raise
            trouble, pause = str(error), 2.0  # sshd holds it against whoever leaves again and again before logging in
        except RefusedKeyError as error:
            trouble = f"{error}: cloud-init has not made the user yet, or did not run at all"
        except SshError as error:
            trouble = str(error)
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
    raise NotReadyError(
        f"{request.name} ({request.address}:{request.port}) was not ready within {request.timeout:.0f} s. "
        f"Last seen: {trouble}. Look at the machine's console, then run the same command again."
    )


def _prepare(request: Request, connection: Connection, deadline: float) -> None:
    _call(connection, "upgrade", agent_bundle_document(), timeout=60)
    left = max(1.0, deadline - time.monotonic())
    _call(connection, "bootstrap", {"timeout": int(left)}, timeout=left + 15)
    install = {"private": request.host_private, "public": request.host_public}
    _call(connection, "host-keys", {"install": install, "only": False}, timeout=60)


@contextmanager
def _reloaded(request: Request) -> Iterator[Connection]:
    """A connection pinned to the permanent key alone, to an sshd that was just told to read its configuration again:
    for a moment nobody listens, or the keys are still the former ones."""
    deadline = time.monotonic() + RELOAD_TIMEOUT
    with ExitStack() as stack:
        while True:
            try:
                connection = stack.enter_context(request.connect([request.host_public]))
                break
            except RefusedKeyError:
                raise
            except SshError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.5)
        yield connection


def _call(connection: Connection, subcommand: str, document: dict[str, Any], timeout: float) -> None:
    command = f"sudo -n {AGENT} {subcommand}"
    result = connection.run(command, stdin=json.dumps(document), timeout=timeout, progress=say)
    if result.status != 0:
        raise NotReadyError(f"{connection.address}: the step '{subcommand}' failed:\n{result.stderr.strip()}")


def main() -> int:
    request = Request(**json.load(sys.stdin))
    before = previous_output()
    if before.get("id") == request.id:
        # its cloud may give it another address of its own, once it has had the server's
        print(json.dumps(before | {"address": request.address, "private_address": request.private_address}))
        return 0
    try:
        make_ready(request)
    except (NotReadyError, SshError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(request.host()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
