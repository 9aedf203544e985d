"""A real server with the agent on it, as the tests use it: commands to the agent, archives of small apps, visits."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import ssl
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_slipway.agent_bundle import agent_bundle_document, agent_digest, agent_pyz
from pulumi_slipway.app.site import SiteSpec, render_site
from pulumi_slipway.bootstrap import HostKeyPair, render_user_data
from pulumi_slipway.bootstrap import Machine as Description
from tests.machines import Machine, machine

AGENT = "/usr/local/lib/slipway/agent"
OWNER = "owner-of-the-tests"

# No framework: a release of it takes as long as Slipway takes.
APP = """\
import os, sqlite3, sys, time

TEXT = "{text}"
{extra}

def app(environ, start_response):
    path = environ["PATH_INFO"]
    status, body = "200 OK", TEXT
    if path == "/slow":
        time.sleep(1)
    elif path == "/environment":
        body = repr(sorted(os.environ.items()))
    elif path == "/request":
        body = repr(sorted((k, v) for k, v in environ.items() if isinstance(v, str)))
    elif path == "/healthz":
        status = "{health}"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
"""


def source(text: str, extra: str = "", health: str = "200 OK", **files: str) -> dict[str, str]:
    """The files of a small app that answers `text`; `files` by name, with "__" for "/" and "_dot_" for "."."""
    found = {"web.py": APP.format(text=text, extra=extra, health=health)}
    return found | {name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()}


def pack(files: Mapping[str, str]) -> bytes:
    """An archive as the operator's side makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


class AgentFailed(Exception):  # noqa: N818 (what happened)
    """The agent refused, or failed; the text is what it said on stderr."""


@dataclass
class Visits:
    """What visitors saw while something happened."""

    bodies: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def texts(self) -> list[str]:
        """The different answers, in order of their first appearance."""
        return list(dict.fromkeys(self.bodies))


@dataclass
class App:
    """One app on a server, and what was last asked for it."""

    server: Server
    name: str
    serial: int = 0

    def claim(self, owner: str = OWNER) -> dict[str, Any]:
        return self.server.agent("claim", {"app": self.name, "owner": owner})

    def site(self, certificate: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        names = spec.pop("domains", [])
        described = SiteSpec(self.name, names, [self.server.address], static_url="/static/", **spec)
        files = {path: {"content": file.content, "mode": file.mode} for path, file in render_site(described).items()}
        return self.server.agent("site", self.site_request(files, certificate, names))

    def site_request(
        self, files: Mapping[str, Any], certificate: Mapping[str, Any] | None = None, names: Any = ()
    ) -> dict[str, Any]:
        return {
            "app": self.name,
            "owner": OWNER,
            "serial": 1,
            "files": files,
            "certificate": {"names": list(names), "addresses": [self.server.address], **(certificate or {})},
        }

    def release_request(self, release: str, files: Mapping[str, str], **changes: Any) -> dict[str, Any]:
        """Uploads the source; the request that releases it."""
        self.serial += 1
        return {
            "app": self.name,
            "owner": OWNER,
            "release": release,
            "serial": self.serial,
            "archive": self.server.upload(pack(files)),
            "environment": {"GREETING": "hello"},
            "commands": {"build": [], "release": []},
            "web": {"kind": "wsgi", "target": "web:app", "command": None},
            "static": None,
            "health": {"path": "/healthz", "status": 200, "host": self.server.address, "timeout": 20},
            "drain": 5,
            "keep": 5,
            **changes,
        }

    def release(self, release: str, files: Mapping[str, str], **changes: Any) -> dict[str, Any]:
        return self.server.agent("release", self.release_request(release, files, **changes))

    def observe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.agent("observe", {"apps": [self.name]})["apps"][self.name]
        return found

    def status(self) -> dict[str, Any]:
        return self.server.agent("status", {"app": self.name})


@dataclass
class Server:
    """A machine with the agent of this checkout."""

    machine: Machine
    name: str | None = None
    """What visitors call it by; default: its address."""

    @property
    def address(self) -> str:
        return self.machine.address

    def install_agent(self) -> None:
        """By the stub's way at first, by the agent's own later."""
        self.agent("upgrade", agent_bundle_document())

    def agent(self, command: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The agent's answer; raises `AgentFailed` with what it said when it fails."""
        done = self.run_agent(command, document)
        if done.returncode != 0:
            raise AgentFailed(done.stderr)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer.pop("ok") is True
        assert len(done.stdout) < 8192
        return answer

    def run_agent(
        self, command: str, document: Mapping[str, Any], timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return self.machine.root_run([AGENT, command], json.dumps(document), timeout)

    def shell(self, command: str, check: bool = True, timeout: float = 60) -> str:
        return self.machine.root_shell(command, check=check, timeout=timeout)

    def upload(self, data: bytes) -> dict[str, str]:
        digest = hashlib.sha256(data).hexdigest()
        path = f"/home/deploy/incoming/{digest[:20]}.tar.gz"
        encoded = base64.b64encode(data).decode()
        self.machine.root_shell(f"mkdir -p /home/deploy/incoming && base64 -d > {path}", encoded)
        return {"path": path, "sha256": digest}

    def get(
        self, path: str = "/", host: str | None = None, headers: Mapping[str, str] | None = None, ca: str | None = None
    ) -> tuple[int, str, Mapping[str, str]]:
        """Status, body and headers of a GET by HTTPS; with `ca` (PEM), its certificate is verified."""
        context = ssl.create_default_context(cadata=ca) if ca else ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(self.address, timeout=10, context=context)
        try:
            connection.request("GET", path, headers={"Host": host or self.name or self.address, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def text(self, path: str = "/") -> str:
        status, body, _ = self.get(path)
        assert status == 200, f"{path}: {status} {body}"
        return body

    def wait_for(self, text: str, within: float = 20) -> float:
        """Seconds until the site answers `text`."""
        began = time.monotonic()
        seen = ""
        while time.monotonic() - began < within:
            try:
                seen = self.text()
                if seen == text:
                    return time.monotonic() - began
            except (OSError, AssertionError, http.client.HTTPException) as error:
                seen = str(error)
            time.sleep(0.1)
        raise AssertionError(f"no {text!r} within {within} s; last seen: {seen}")

    @contextmanager
    def visited(self, rate: float = 40, workers: int = 4) -> Iterator[Visits]:
        """Visits at `rate` a second, on new connections, while the block runs."""
        visits = Visits()
        over = threading.Event()
        threads = [
            threading.Thread(target=self._visit, args=(visits, over, workers / rate), daemon=True)
            for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield visits
        finally:
            over.set()
            for thread in threads:
                thread.join(20)

    def _visit(self, visits: Visits, over: threading.Event, pause: float) -> None:
        while not over.wait(pause):
            try:
                status, body, _ = self.get()
                if status == 200:
                    visits.bodies.append(body)
                else:
                    visits.failures.append(f"status {status}")
            except (OSError, http.client.HTTPException) as error:
                visits.failures.append(f"{type(error).__name__}: {error}")


def key_pair(folder: Path, kind: str) -> HostKeyPair:
    """A new key pair, of a host or of a user, as OpenSSH makes it."""
    path = folder / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return HostKeyPair(path.read_text(), path.with_suffix(".pub").read_text().strip())


@contextmanager
def new_server(host_key: HostKeyPair, deploy_key: HostKeyPair, hostname: str = "agent-test") -> Iterator[Server]:
    """A server as bootstrap makes it, with the agent of this checkout; it shows `host_key` as at its first contact."""
    debian = int(os.environ.get("SLIPWAY_TEST_DEBIAN", "13"))
    with machine(render_user_data(Description(hostname, host_key, [deploy_key.public])), debian) as box:
        found = Server(box)
        found.shell("test -f /var/lib/slipway/bootstrapped")
        found.install_agent()
        yield found


@contextmanager
def local_agent() -> Iterator[Path]:
    """The agent as a file on this machine, for what needs no server."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"agent-{agent_digest()[:12]}.pyz"
        path.write_bytes(agent_pyz())
        path.chmod(0o755)
        yield path
