"""The supervisor of a sandbox, and what it runs: see `sandbox.py`.

It speaks supervisor's protocol on supervisor's socket, as far as the agent asks: programs that live or not, started and
stopped without waiting, started again when they end unexpectedly. A program is what a slot is on a server: the agent's
own `slot`, as a process. Only what that would become, the app, is not started as a program of its own but played here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from slipway_agent import slot  # type: ignore[import-not-found]
from slipway_agent.paths import SLOTS, AppPaths, rooted  # type: ignore[import-not-found]

_ALIVE = ("RUNNING", "STOPPING", "BACKOFF")
_AGAIN_AFTER = 1.0
"""Seconds after which a program is started again that ended unexpectedly."""


@dataclass
class _Program:
    app: str
    slot: str
    state: str = "STOPPED"
    pid: int = 0
    again_at: float = 0.0


class _Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # an option of TCP


class _Server(SimpleXMLRPCServer):
    address_family = socket.AF_UNIX
    timeout = 0.01

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler, logRequests=False, allow_none=True)  # type: ignore[arg-type]

    def handle_error(self, *asked: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # else who asked was killed meanwhile
            super().handle_error(*asked)


class _Supervisor:
    def __init__(self, app: str) -> None:
        self._programs = {f"{app}-{name}": _Program(app, name) for name in SLOTS}
        for program in self._programs.values():
            self._spawn(program)

    def getProcessInfo(self, name: str) -> dict[str, object]:  # noqa: N802 (supervisor's name for it)
        program = self._find(name)
        return {"name": name, "statename": program.state, "pid": program.pid, "spawnerr": ""}

    def getAllProcessInfo(self) -> list[dict[str, object]]:  # noqa: N802
        return [self.getProcessInfo(name) for name in self._programs]

    def startProcess(self, name: str, _wait: bool) -> bool:  # noqa: N802
        program = self._find(name)
        if program.state in _ALIVE:
            raise Fault(60, "ALREADY_STARTED")
        self._spawn(program)
        return True

    def stopProcess(self, name: str, _wait: bool) -> bool:  # noqa: N802
        program = self._find(name)
        if program.state not in _ALIVE:
            raise Fault(70, "NOT_RUNNING")
        if program.pid:
            os.kill(program.pid, signal.SIGTERM)
            program.state = "STOPPING"
        else:
            program.state = "STOPPED"
        return True

    def reloadConfig(self) -> list[list[list[str]]]:  # noqa: N802
        """Nothing is configured here: both programs are always as they are."""
        return [[[], [], []]]

    def look_after(self) -> None:
        """See who ended, and start what is to run again."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for program in self._programs.values():
                    if program.pid == ended[0]:
                        self._ended(program, os.waitstatus_to_exitcode(ended[1]))
        for program in self._programs.values():
            if program.state == "BACKOFF" and time.monotonic() > program.again_at:
                self._spawn(program)

    def _ended(self, program: _Program, status: int) -> None:
        program.pid = 0
        if program.state == "STOPPING":
            program.state = "STOPPED"
        elif status == slot.NOT_WANTED:
            program.state = "EXITED"
        else:
            program.state = "BACKOFF"
            program.again_at = time.monotonic() + _AGAIN_AFTER

    def _spawn(self, program: _Program) -> None:
        program.pid = os.fork()
        program.state = "RUNNING"
        if program.pid == 0:
            _run(program)

    def _find(self, name: str) -> _Program:
        if name not in self._programs:
            raise Fault(10, "BAD_NAME")
        return self._programs[name]


def supervise(app: str, ready: int) -> NoReturn:
    """Be the supervisor of `app`'s two slots; `ready` is written to once it can be asked."""
    supervisor = _Supervisor(app)
    socket_path = rooted("/run/supervisor.sock")
    socket_path.unlink(missing_ok=True)
    with _Server(socket_path) as server:
        for name in ("getProcessInfo", "getAllProcessInfo", "startProcess", "stopProcess", "reloadConfig"):
            server.register_function(getattr(supervisor, name), f"supervisor.{name}")
        os.write(ready, b"!")
        os.close(ready)
        while True:
            server.handle_request()
            supervisor.look_after()


def _run(program: _Program) -> NoReturn:
    """In the child: what is configured as the program's command on a server."""
    status = 1
    try:
        log = os.open(AppPaths(program.app).log(program.slot), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        slot.os.execve = _play
        status = slot.run_slot([program.app, program.slot])
    finally:
        os._exit(status)


def _play(_path: str, _command: list[str], environment: dict[str, str]) -> NoReturn:
    """Be the app whose source is `app.json` in the working folder; answers tell its text, release and variables."""
    code = json.loads(Path("app.json").read_text())
    if code["broken"] == "import":
        os.write(2, b"ModuleNotFoundError: No module named 'nothing_of_that_name'\n")
        os._exit(1)
    status = "500 Broken" if code["broken"] == "health" else "200 OK"
    said = {"text": code["text"], "release": environment["SLIPWAY_RELEASE"], "greeting": environment.get("GREETING")}
    body = json.dumps(said).encode()
    answer = f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    place = Path(environment["SLIPWAY_SOCKET"])
    place.unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place))
        listener.listen(16)
        for connection in _accepted(listener):
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)
    os._exit(1)


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    while True:
        yield listener.accept()[0]
