"""The bridge between a slot's socket and a server of the app's own: no machine is needed for it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_COMPONENTS = Path(__file__).parents[2] / "components"

# Answers with its name; "/slow" after a second, "/stream" in two parts, and at SIGTERM it finishes what it has begun.
_SERVER = """\
import http.server, signal, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)
        body = b"own" * (400000 if self.path == "/large" else 1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(str(len(body)))))
        self.end_headers()
        self.wfile.write(str(len(body)).encode())
    def log_message(self, *_):
        pass

time.sleep(0.3)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
sys.exit(7)
"""
_BRIDGE = "import sys; from pathlib import Path; from pulumi_slipway.agent.bridge import serve; "


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _bridge(folder: Path, server: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    path, port, script = folder / "web.sock", _free_port(), folder / "server.py"
    script.write_text(server)
    command = [sys.executable, str(script), str(port)]
    program = f"{_BRIDGE} sys.exit(serve(Path({str(path)!r}), {port}, {command!r}, {{}}))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(_COMPONENTS)}, start_new_session=True
    )
    try:
        yield process, path
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _ask(path: Path, what: str = "/", body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(10)
    connection.sock.connect(str(path))
    connection.request("POST" if body else "GET", what, body=body)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read()


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nobody_is_let_in_before_the_server_listens(tmp_path: Path) -> None:
    with _bridge(tmp_path, _SERVER) as (_, path):
        _wait_for(path)
        assert _ask(path) == b"own"
        assert len(_ask(path, "/large")) == 1200000
        assert _ask(path, body=b"x" * 3_000_000) == b"3000000"
        assert path.stat().st_mode & 0o777 == 0o666


def test_what_was_begun_is_answered_when_it_is_told_to_stop(tmp_path: Path) -> None:
    with _bridge(tmp_path, _SERVER) as (process, path):
        _wait_for(path)
        answers: list[bytes] = []
        slow = threading.Thread(target=lambda: answers.append(_ask(path, "/slow")))
        slow.start()
        time.sleep(0.3)
        process.terminate()
        time.sleep(0.2)
        with pytest.raises(OSError):  # noqa: PT011 (refused, or not there)
            _ask(path)
        slow.join()
        assert answers == [b"own"]
        assert process.wait(10) == 7, "its end is that of the server"


def test_it_ends_with_a_server_that_ends(tmp_path: Path) -> None:
    with _bridge(tmp_path, "raise SystemExit(5)") as (process, path):
        assert process.wait(10) == 5
        assert not path.exists()
    with _bridge(tmp_path, "import os; os.kill(os.getpid(), 9)") as (process, _):
        assert process.wait(10) == 128 + 9
