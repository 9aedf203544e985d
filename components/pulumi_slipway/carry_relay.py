"""The data of an app from one machine to another, through this one: nothing of them is kept here.

The bytes that one agent's `send` writes are what the other's `receive` reads. What moves is not bounded in time, a
standstill is. When a connection is lost, the transfer goes on from where the receiving side is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paramiko

from .machine import Machine, reason
from .places import AGENT
from .ssh import Connection, SshError, say

STALL = 150.0
"""Seconds without a byte after which a connection is given up; more than the agents allow each other."""
TRIES = 4
"""Attempts without any progress, after which the transfer is."""

_CHUNK = 256 * 1024
_EVERY = 5.0
_PAUSE = 2.0


class NotSentError(Exception):
    """The transfer did not come to its end; the message says why."""


@dataclass(frozen=True)
class Parcel:
    """The data of one app as they are on the old machine, where it stands still."""

    app: str
    owner: str | None
    manifest: str
    entries: int
    bytes: int
    token: str

    def announcement(self, source: Machine) -> dict[str, Any]:
        """What the agents are told of it."""
        return {**self.__dict__, "from": source.identity}


def bring(parcel: Parcel, source: Machine, target: Machine) -> None:
    """Has the data wait on `target`, whole and checked. Raises `NotSentError`, `AgentFailedError` or `SshError`."""
    announcement = parcel.announcement(source)
    reached, tries, first, trouble = (-1, -1), 0, True, ""
    while tries < TRIES:
        tries += 1
        try:
            there = target.ask("expect", {**announcement, "first": first}, timeout=300)
            first = False
            if there["state"] != "partial":
                return
            position = (there["index"], there["offset"])
            if position != reached:
                reached, tries = position, 1
            if trouble:
                say(f"{parcel.app}: going on from {_mib(there['bytes'])} of {_mib(parcel.bytes)} MiB")
            _carry_on(parcel, source, target, position, there["bytes"])
        except (SshError, NotSentError) as error:
            trouble = str(error)
            say(f"{parcel.app}: {trouble}")
            time.sleep(_PAUSE)
    raise NotSentError(trouble)


def _carry_on(parcel: Parcel, source: Machine, target: Machine, position: tuple[int, int], there: int) -> None:
    with source.connected() as sending, target.connected() as receiving:
        known = {"app": parcel.app, "token": parcel.token, "manifest": parcel.manifest}
        send = {**known, "index": position[0], "offset": position[1]}
        _relay(sending, receiving, send, known, _Teller(parcel, there))


class _Teller:
    """Tells people now and then how far it is."""

    def __init__(self, parcel: Parcel, moved: int) -> None:
        self._parcel, self._moved, self._next = parcel, moved, time.monotonic() + _EVERY
        say(f"{parcel.app}: carrying {parcel.entries} files and folders, {_mib(parcel.bytes)} MiB")

    def __call__(self, count: int) -> None:
        self._moved += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            say(f"{self._parcel.app}: {_mib(self._moved)} of {_mib(self._parcel.bytes)} MiB")


def _relay(
    sending: Connection,
    receiving: Connection,
    send: Mapping[str, Any],
    receive: Mapping[str, Any],
    moved: Callable[[int], None],
) -> None:
    """Raises `NotSentError` with what the agent said that failed first, or `SshError`."""
    out = _start(sending, "send", json.dumps(send), more=False)
    into = _start(receiving, "receive", json.dumps(receive) + "\n", more=True)
    broken: Exception | None = None
    try:
        while data := out.recv(_CHUNK):
            into.sendall(data)
            moved(len(data))
        into.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException) as error:
        broken = error
    # When the sending side failed, the receiving one only says that it ended early.
    for channel, connection in ((out, sending), (into, receiving)):
        failure = _failure(channel, 5.0 if broken else STALL)
        if failure is not None:
            raise NotSentError(f"{connection.address}: {failure}")
    if broken is not None or into.exit_status != 0 or out.exit_status != 0:
        told = f"nothing moved for {STALL:.0f} s" if isinstance(broken, TimeoutError) else broken
        raise SshError(f"{receiving.address}: connection lost: {told or 'an agent ended without a word'}")


def _start(connection: Connection, subcommand: str, text: str, *, more: bool) -> paramiko.Channel:
    try:
        channel = connection.transport.open_session(timeout=STALL)
        channel.settimeout(STALL)
        channel.exec_command(f"sudo -n {AGENT} {subcommand}")
        channel.sendall(text.encode())
        if not more:
            channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise SshError(f"{connection.address}: connection lost: {error or type(error).__name__}") from error
    return channel


def _failure(channel: paramiko.Channel, within: float) -> str | None:
    """What an agent said before it ended badly; None when it ended well, or did not end in time."""
    if not channel.status_event.wait(within) or channel.exit_status == 0:
        return None
    channel.settimeout(2.0)
    stdout, stderr = _rest(channel.recv), _rest(channel.recv_stderr)
    return reason(stdout, stderr)


def _rest(receive: Callable[[int], bytes]) -> str:
    data = b""
    try:
        while len(data) < 1024 * 1024 and (chunk := receive(65536)):
            data += chunk
    except OSError:
        pass
    return data.decode(errors="replace")


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f}"
