"""Two servers and the program that carries data from one to the other, started as Pulumi's command starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.server import AGENT, App, Server, key_pair, new_server, source

COMPONENTS = Path(__file__).parents[2] / "components"
NAME = "book"

# Writes a line into a file for each visit that asks for it, and shows all of them.
VISITORS_BOOK = """
BOOK = "/srv/book/shared/data/book.txt"
def entries():
    return open(BOOK).read() if os.path.exists(BOOK) else ""
def sign(environ, start_response, inner=None):
    if environ["PATH_INFO"].startswith("/sign/"):
        with open(BOOK, "a") as file:
            file.write(environ["PATH_INFO"][6:] + "\\n")
            file.flush()
            os.fsync(file.fileno())
    body = (TEXT + "\\n" + entries()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def book(text: str, health: str = "200 OK") -> dict[str, str]:
    """An app whose visitors leave entries in its data."""
    files = source(text, VISITORS_BOOK, health)
    files["web.py"] += """
plain = app
def app(environ, start_response):
    return (plain if environ["PATH_INFO"] == "/healthz" else sign)(environ, start_response)
"""
    return files


@dataclass
class Side:
    """A server as the operator's side knows it."""

    server: Server
    host: dict[str, Any]

    @property
    def app(self) -> App:
        return App(self.server, NAME)

    @property
    def id(self) -> str:
        return str(self.host["id"])

    def launch(self, text: str = "here") -> None:
        """Everything that a stack does for the app on a new server."""
        app = self.app
        app.claim()
        app.site()
        app.release(f"{text}-1", book(text), web={"kind": "wsgi", "target": "web:app", "command": None})

    def sign(self, *entries: str) -> None:
        for entry in entries:
            self.server.text(f"/sign/{entry}")

    def entries(self) -> list[str]:
        """What the site shows."""
        return self.server.text().splitlines()[1:]

    def stored(self) -> list[str]:
        """What is on the disk."""
        return self.server.shell(f"cat /srv/{NAME}/shared/data/book.txt", check=False).splitlines()

    def serves(self) -> bool:
        status, _, _ = self.server.get()
        return status == 200

    def hold(self) -> dict[str, Any] | None:
        """The note of an app that stands still."""
        text = self.server.shell(f"cat /srv/{NAME}/hold.json", check=False)
        return dict(json.loads(text)) if text else None

    def wipe(self) -> None:
        """As if nothing had been launched, ever."""
        for record in self.server.shell("cat /srv/*/claim.json | tr -d '\\n'", check=False).split("}"):
            if record.strip():
                found = json.loads(record + "}")
                self.server.agent("remove", {"app": found["app"], "owner": found["owner"] or "none"})
        self.server.shell("rm -rf /srv/.carry; systemctl stop slipway-hold.timer", check=False)


@dataclass
class Pair:
    """The machine that a stack has had, and the one that it is to have."""

    old: Side
    new: Side
    private_key: str

    def start(
        self, carry_data: bool | None, before: Side | None = None, after: Side | None = None, **changes: Any
    ) -> subprocess.Popen[str]:
        before, after = before or self.old, after or self.new
        request = {
            "host": after.host,
            "address": after.host["address"],
            "private_key": self.private_key,
            "carry_data": carry_data,
        }
        environment = {
            **os.environ,
            "PYTHONPATH": str(COMPONENTS),
            "PULUMI_COMMAND_STDOUT": json.dumps({**before.host, **changes}),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "pulumi_slipway.carry"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            preexec_fn=_heed_interrupts,
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, carry_data: bool | None, **more: Any) -> str:
        """What the program told; the host that it prints was checked."""
        after = more.get("after") or self.new
        process = self.start(carry_data, **more)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        printed: Mapping[str, Any] = json.loads(stdout)
        assert {key: printed[key] for key in after.host} == after.host
        return stderr

    def fail(self, carry_data: bool | None, **more: Any) -> str:
        """What the program told before it failed; it has printed no host then."""
        process = self.start(carry_data, **more)
        stdout, stderr = process.communicate(timeout=300)
        assert (process.returncode, stdout) == (1, ""), stderr
        return stderr

    def kill_when(self, word: str, carry_data: bool | None = True) -> None:
        """Kills the program at the first line with this word; what it asked of the servers may go on there."""
        process = self.start(carry_data)
        assert process.stderr
        seen = [line for line in iter(process.stderr.readline, "") if self._killed(process, word in line)]
        process.wait(timeout=60)
        assert any(word in line for line in seen), seen
        process.stderr.close()

    @staticmethod
    def _killed(process: subprocess.Popen[str], now: bool) -> bool:
        if now:
            process.kill()
        return True


def _heed_interrupts() -> None:
    """A shell has what it starts in the background ignore SIGINT, the tests too, and so what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Two servers, with a host key each and one deploy key."""
    deploy = key_pair(folder, "ed25519")
    with ExitStack() as stack:
        sides = []
        for name in ("old", "new"):
            place = folder / name
            place.mkdir()
            host_key = key_pair(place, "ecdsa")
            server = stack.enter_context(new_server(host_key, deploy, name))
            host = {
                "id": f"id-{server.machine.id}",
                "name": f"the-{name}-one",
                "address": server.address,
                "private_address": server.address,
                "port": 22,
                "user": "deploy",
                "host_key": host_key.public,
                "proxy": "",
            }
            sides.append(Side(server, host))
        yield Pair(sides[0], sides[1], deploy.private)


def pipe(source: Server, target: Server, send: Mapping[str, Any], receive: Mapping[str, Any]) -> tuple[str, str]:
    """`send` on one machine into `receive` on the other, without an operator; what each said."""
    driver = [sys.executable, "-m", "pulumi_slipway.local", "exec"]
    environment = {**os.environ, "PYTHONPATH": str(COMPONENTS)}
    sending = subprocess.Popen(
        [*driver, source.machine.name, "--", AGENT, "send"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    data, told = sending.communicate(json.dumps(send).encode(), timeout=120)
    receiving = subprocess.run(
        [*driver, target.machine.name, "--", AGENT, "receive"],
        input=json.dumps(receive).encode() + b"\n" + data,
        capture_output=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    return told.decode(), receiving.stderr.decode()
