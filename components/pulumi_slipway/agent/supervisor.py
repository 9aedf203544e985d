"""supervisor, spoken to over its own socket: `supervisorctl` takes 0.2 s to start, and cannot be asked precisely."""

from __future__ import annotations

import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import paths
from .errors import AgentError

# http://supervisord.org/subprocess.html#process-states
_ALIVE = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")
# http://supervisord.org/api.html: what a call may say that is no surprise here
_BAD_NAME = 10
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_SHUTTING_DOWN = 6


@dataclass(frozen=True)
class Process:
    """One program as supervisor sees it. RUNNING says that it lives, not that it answers."""

    state: str
    pid: int
    error: str

    @property
    def alive(self) -> bool:
        return self.state in _ALIVE


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, _host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path, self._timeout)


class Supervisor:
    """The running supervisord. Every method raises `AgentError` when it cannot be reached."""

    def __init__(self, timeout: float = 15.0) -> None:
        self._path = str(paths.rooted("/run/supervisor.sock"))
        self._proxy = xmlrpc.client.ServerProxy(
            "http://localhost/RPC2", transport=_Transport(self._path, timeout), allow_none=True
        )

    def process(self, name: str) -> Process | None:
        """How the program is; None when supervisor knows none of that name."""
        try:
            info = self._call("getProcessInfo", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _BAD_NAME:
                return None
            raise _unexpected(fault, f"getProcessInfo({name})") from fault
        return Process(str(info["statename"]), int(info["pid"]), str(info["spawnerr"]))

    def processes(self) -> dict[str, Process]:
        """All programs as they are, by name."""
        try:
            found = self._call("getAllProcessInfo")
        except xmlrpc.client.Fault as fault:
            raise _unexpected(fault, "getAllProcessInfo") from fault
        return {
            str(info["name"]): Process(str(info["statename"]), int(info["pid"]), str(info["spawnerr"]))
            for info in found
        }

    def start(self, name: str) -> None:
        """Start a stopped program, without waiting for it."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _BAD_NAME:
                raise AgentError(f"supervisor knows no program {name}: run the site step of the app again") from fault
            if fault.faultCode != _ALREADY_STARTED:
                raise _unexpected(fault, f"startProcess({name})") from fault

    def ask_to_stop(self, name: str) -> None:
        """Tell the program to end; one that does not run is fine."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (_BAD_NAME, _NOT_RUNNING):
                raise _unexpected(fault, f"stopProcess({name})") from fault

    def wait_stopped(self, name: str, within: float) -> None:
        """Wait for the end of a program that was told to stop; supervisor kills it after its `stopwaitsecs`."""
        deadline = time.monotonic() + within
        pause = 0.02
        while (process := self.process(name)) is not None and process.alive:
            if time.monotonic() > deadline:
                raise AgentError(f"{name} did not stop within {within:.0f} s (it is {process.state})")
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def reread(self) -> tuple[set[str], set[str], set[str]]:
        """Read the configuration anew: the programs that are new, changed, gone. Nothing is applied yet.

        Raises `AgentError` when the configuration is invalid; what runs is not touched by that.
        """
        try:
            added, changed, removed = self._call("reloadConfig")[0]
        except xmlrpc.client.Fault as fault:
            raise AgentError("supervisor does not accept its configuration", [fault.faultString]) from fault
        return set(added), set(changed), set(removed)

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            self._quietly("addProcessGroup", name)

    def drop(self, names: Iterable[str], within: float) -> None:
        """Stop programs and forget them."""
        for name in names:
            self.ask_to_stop(name)
        for name in names:
            self.wait_stopped(name, within)
            self._quietly("removeProcessGroup", name)

    def _quietly(self, method: str, name: str) -> None:
        try:
            self._call(method, name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (_BAD_NAME, 90):  # 90: there already
                raise _unexpected(fault, f"{method}({name})") from fault

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _SHUTTING_DOWN:
                raise AgentError("supervisor is shutting down: run this again when it is back") from fault
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise AgentError(
                f"supervisor cannot be reached at {self._path} ({error}); "
                "see `systemctl status supervisor` on the server"
            ) from error


def _unexpected(fault: xmlrpc.client.Fault, call: str) -> AgentError:
    return AgentError(f"supervisor: {call}: {fault.faultString} ({fault.faultCode})")
