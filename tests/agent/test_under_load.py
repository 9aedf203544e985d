"""What a release does to those who are in the middle of something, and what fifty of them do to a server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.background import start_load
from tests.agent.server import OWNER, App, Server, source

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

DRAIN = 12
"""Seconds that the old release has: enough for the slow request, and less than anybody talks to a websocket."""

_ASGI = """\
import asyncio, hashlib, os

RELEASE = os.environ["SLIPWAY_RELEASE"]

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": RELEASE})
            await asyncio.sleep(0.25)
    assert scope["type"] == "http"
    body = f'<p data-marker="{RELEASE}">'
    if scope["path"] == "/slow":
        await asyncio.sleep(10)
    if scope["path"] == "/upload":
        digest, more = hashlib.sha256(), True
        while more:
            event = await receive()
            digest.update(event.get("body", b""))
            more = event.get("more_body", False)
        body += digest.hexdigest()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body.encode()})
"""

_WSGI = """\
import hashlib, os, time

RELEASE = os.environ["SLIPWAY_RELEASE"]

def app(environ, start_response):
    body = f'<p data-marker="{RELEASE}">'
    if environ["PATH_INFO"] == "/slow":
        time.sleep(10)
    if environ["PATH_INFO"] == "/upload":
        body += hashlib.sha256(environ["wsgi.input"].read()).hexdigest()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""

UPLOAD = os.urandom(256 * 1024)


@pytest.fixture(scope="module")
def busy(server: Server) -> Iterator[App]:
    app = App(server, "busy")
    app.claim()
    app.site(graceful_timeout=DRAIN)
    yield app
    server.agent("remove", {"app": app.name, "owner": OWNER})


@pytest.fixture(scope="module")
def certificate(busy: App, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("busy") / "cert.pem"
    path.write_text(busy.site(graceful_timeout=DRAIN)["certificate"])
    return path


class Visitor(threading.Thread):
    """Somebody who is in the middle of something: what came of it, and when (seconds of the monotonic clock)."""

    def __init__(self, what: Callable[[ssl.SSLSocket], Any], app: App) -> None:
        super().__init__(daemon=True)
        self._what, self._address = what, app.server.address
        self.result: Any = None
        self.ended = 0.0
        self.start()

    def run(self) -> None:
        context = ssl._create_unverified_context()  # noqa: S323
        try:
            plain = socket.create_connection((self._address, 443), 60)
            with context.wrap_socket(plain, server_hostname=self._address) as connection:
                self.result = self._what(connection)
        except OSError as error:
            self.result = error
        self.ended = time.monotonic()

    def finished(self, within: float) -> Any:
        self.join(within)
        assert not self.is_alive(), f"nothing came of it within {within} s"
        return self.result


def _request(head: str, connection: ssl.SSLSocket) -> None:
    host = connection.getpeername()[0]
    connection.sendall(f"{head} HTTP/1.1\r\nHost: {host}\r\n".encode())


def _answer(connection: ssl.SSLSocket) -> tuple[int, str]:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def slow(connection: ssl.SSLSocket) -> tuple[int, str]:
    """A request that is answered after 10 s."""
    _request("GET /slow", connection)
    connection.sendall(b"Connection: close\r\n\r\n")
    return _answer(connection)


def upload(connection: ssl.SSLSocket) -> tuple[int, str]:
    """An upload that takes 6 s to come in."""
    _request("POST /upload", connection)
    connection.sendall(f"Content-Length: {len(UPLOAD)}\r\nConnection: close\r\n\r\n".encode())
    pieces = 24
    size = -(-len(UPLOAD) // pieces)
    for number in range(pieces):
        connection.sendall(UPLOAD[number * size : (number + 1) * size])
        time.sleep(6 / pieces)
    return _answer(connection)


def websocket(connection: ssl.SSLSocket) -> tuple[list[str], bool]:
    """Listens to the app as long as it speaks: what it said, and whether it took its leave."""
    _request("GET /talk", connection)
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    connection.sendall(head.encode())
    stream = connection.makefile("rb")
    assert b" 101 " in stream.readline()
    while stream.readline().strip():
        pass
    heard: list[str] = []
    while len(frame := stream.read(2)) == 2:
        text = stream.read(frame[1] & 0x7F)  # the server's frames are short, and not masked
        if frame[0] & 0x0F == 8:
            return heard, True
        heard.append(text.decode())
    return heard, False


def _release(app: App, release: str, code: str, kind: str) -> float:
    """Make it live; the moment at which that was answered."""
    web = {"kind": kind, "target": "web:app", "command": None}
    app.release(release, {"web.py": code}, web=web, drain=DRAIN)
    return time.monotonic()


@pytest.mark.parametrize(("kind", "code"), [("asgi", _ASGI), ("wsgi", _WSGI)])
def test_who_is_in_the_middle_of_something_gets_to_its_end(
    busy: App, certificate: Path, fresh_id: str, kind: str, code: str
) -> None:
    old, new = f"{fresh_id}-{kind}", f"{fresh_id}-{kind}-b"
    _release(busy, old, code, kind)
    url = f"https://{busy.server.address}/"
    with start_load(url, 50, 20, ca=certificate) as load:
        request, bringing = Visitor(slow, busy), Visitor(upload, busy)
        talk = Visitor(websocket, busy) if kind == "asgi" else None
        time.sleep(1)
        began = time.monotonic()
        live = _release(busy, new, code, kind)
        assert request.is_alive(), "the release was to be live before the slow answer"
        assert live - began < 6, "a release waits for nobody"

        status, body = request.finished(20)
        assert (status, body) == (200, f'<p data-marker="{old}">')
        # nginx takes an upload in whole before the app hears of it: then the new release is there
        status, body = bringing.finished(20)
        assert (status, body) == (200, f'<p data-marker="{new}">{hashlib.sha256(UPLOAD).hexdigest()}')
        if talk is not None:
            heard, _ = talk.finished(DRAIN + 10)
            assert set(heard) == {old}
            lasted = talk.ended - live
            print(f"the websocket went on for {lasted:.1f} s, and heard {len(heard)} times")
            assert DRAIN - 3 < lasted < DRAIN + 3, "it ends with the drain"
        result = load.wait()
    assert result.failures == {}
    assert list(result.markers) == [old, new]
    switch = result.switch(old, new)
    assert switch is not None
    assert switch.returned == 0
    _only_one_serves(busy)


def test_fifty_releases_leave_the_server_as_it_was(busy: App, fresh_id: str) -> None:
    files = source("quick", assets__style_dot_css="p {}\n" * 100)
    numbers = iter(range(1000))

    def release() -> None:
        number = next(numbers)
        changed = {**files, "web.py": files["web.py"].replace('"quick"', f'"quick {number}"')}
        busy.release(f"{fresh_id}-{number}", changed, static={"url": "/static/", "folder": "assets"}, drain=DRAIN)

    with busy.server.visited(rate=40):  # as many as are kept, and what all programs come to need once
        for _ in range(7):
            release()
    before = _level(busy)
    began = time.monotonic()
    with busy.server.visited(rate=40) as visits:
        for _ in range(50):
            release()
    took = time.monotonic() - began
    after = _level(busy)
    print(f"50 releases in {took:.0f} s, {len(visits.bodies)} visits; before {before}, after {after}")
    assert visits.failures == []
    assert len(visits.texts()) >= 50
    assert visits.texts() == sorted(visits.texts(), key=lambda text: int(text.split()[1])), "never back to an older one"
    assert after["processes"] == before["processes"]
    for who in ("app", "nginx", "supervisord"):
        assert after[who] < before[who] * 1.05 + 2048, f"the memory of {who} grows"
    assert after["disk"] < before["disk"] + 256  # the journal and the logs grow: by a few lines a release
    assert after["files"] <= before["files"] + 2
    assert after["volatile"] <= before["volatile"]


def _level(app: App) -> dict[str, int]:
    """KiB of memory and of disk, numbers of processes and files: of the app, and of those who look after it."""
    _only_one_serves(app)
    total = "awk '{s+=$1} END {print s}'"
    measures = {
        "app": f"ps -o rss= -u {app.name} | {total}",
        "nginx": f"ps -o rss= -C nginx | {total}",
        "supervisord": "ps -o rss= -p $(cat /run/supervisord.pid)",
        "processes": f"ps -o pid= -u {app.name} | wc -l",
        "disk": f"du -sk /srv/{app.name} | cut -f1",
        "files": f"find /srv/{app.name} /home/deploy /usr/local/lib/slipway /etc | wc -l",
        "volatile": "find /run/slipway /run/slipway-agent | wc -l",
    }
    return dict(zip(measures, map(int, app.server.shell("; ".join(measures.values())).split()), strict=True))


def _only_one_serves(app: App, within: float = DRAIN + 25) -> None:
    """Wait for the end of the old release, and of the start of the new one's last worker."""
    end = time.monotonic() + within
    live = f"{app.name}-{app.observe()['slot']}"
    workers = json.loads(app.server.shell("nproc")) + 1
    while True:
        running = app.server.shell('supervisorctl status | awk \'$2 != "EXITED" && $2 != "STOPPED" {print $1}\'')
        count = int(app.server.shell(f"pgrep -c -P $(supervisorctl pid {live})"))
        own = [name for name in running.split() if name.startswith(f"{app.name}-")]
        if own == [live] and count == workers:
            return
        assert time.monotonic() < end, f"running: {own}, with {count} workers of {workers}"
        time.sleep(0.3)
