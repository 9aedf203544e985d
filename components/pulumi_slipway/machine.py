"""A machine, and questions to its agent, each over a connection of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from .agent_bundle import agent_bundle_document
from .places import AGENT
from .ssh import Connection, SshError, WrongHostKeyError, connect, say

PATIENCE = 20.0
"""Seconds in which a machine that does not answer is tried again."""

_TRIES = 2
_PAUSE = 1.0


class AgentFailedError(Exception):
    """The agent of a machine refused, or failed; the text is what it said."""


class Machine:
    """A machine with the agent on it; `host` is its `Host`, and may tell another address of its own."""

    def __init__(self, host: Mapping[str, Any], private_key: str) -> None:
        self.id: str = host["id"]
        self.name: str = host["name"]
        self._host, self._private_key = host, private_key
        # A server's address may have gone over to its next machine already; then this one is reached by its own.
        self._addresses = list(dict.fromkeys(filter(None, (host["address"], host.get("own_address")))))

    @property
    def identity(self) -> dict[str, str]:
        """As agents are told of it."""
        return {"id": self.id, "name": self.name}

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection, pinned to its permanent key; raises `SshError` when there is none to be had for a while."""
        with ExitStack() as stack:
            yield self._connect(stack)

    def ask(self, subcommand: str, document: Mapping[str, Any], timeout: float = 120.0) -> dict[str, Any]:
        """The agent's answer to a command that may be run twice. Raises `AgentFailedError` or `SshError`."""
        for left in reversed(range(_TRIES)):
            try:
                with self.connected() as connection:
                    result = connection.run(
                        f"sudo -n {AGENT} {subcommand}", json.dumps(document), timeout=timeout, progress=_tell
                    )
            except SshError:
                if not left:
                    raise
                continue
            if result.status != 0:
                raise AgentFailedError(f"{self.name}: {reason(result.stdout, result.stderr)}")
            return dict(json.loads(result.stdout))
        raise AssertionError("unreachable")

    def bring_agent(self) -> dict[str, Any]:
        """Have this version of the agent there; what it answers."""
        return self.ask("upgrade", agent_bundle_document())

    def _connect(self, stack: ExitStack) -> Connection:
        host, deadline = self._host, time.monotonic() + PATIENCE
        while True:
            errors: list[SshError] = []
            for address in self._addresses:
                attempt = connect(address, host["port"], host["user"], self._private_key, [host["host_key"]])
                try:
                    return stack.enter_context(attempt)
                except SshError as error:
                    errors.append(error)
            if time.monotonic() > deadline or all(isinstance(error, WrongHostKeyError) for error in errors):
                raise errors[-1]
            time.sleep(_PAUSE)


def report(request: Mapping[str, Any], work: Callable[[Machine], Mapping[str, Any]]) -> int:
    """The end of a small program whose `request` names a host: prints what `work` on it answers, or says why it failed;
    the exit status."""
    try:
        answer = work(Machine(request["host"], request["private_key"]))
    except (AgentFailedError, SshError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(answer))
    return 0


def reason(stdout: str, stderr: str) -> str:
    """Why an agent failed: its answer says so, unless it could not even answer."""
    try:
        return str(json.loads(stdout)["error"])
    except (ValueError, KeyError, TypeError):
        lines = stderr.strip().splitlines()
        return "\n".join(line.removeprefix("error: ") for line in lines[-10:]) or "it ended without a word"


def _tell(line: str) -> None:
    if not line.startswith(("error: ", "    ")):  # what failed is told by whoever asked
        say(line)
