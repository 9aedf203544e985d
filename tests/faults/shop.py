"""The app that faults happen to, on a server of its own: releases of it, what an `up` does, load, rows.

An `up` is what Pulumi would have the agent do: observe, the decisions by the package's own functions, then the steps
that these ask for. The tests of the real engine are in `test_pulumi.py`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.background import start_load
from pulumi_slipway.app.site import SiteSpec, render_site
from pulumi_slipway.observe import _of_app, drift, release_serial, site_serial
from tests.agent.server import App, Server

RATE = 20.0
"""Requests a second."""
PATIENCE = 5.0
"""Seconds for one request."""

APP = """\
import contextlib, os, signal, sqlite3, time

TEXT = "{text}"
{extra}

@contextlib.contextmanager
def rows():
    with contextlib.closing(sqlite3.connect(os.environ["ROWS"], timeout=10)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (text TEXT)")
        yield connection


def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    with rows() as connection:
        if path == "/sign":
            connection.execute("INSERT INTO rows VALUES (?)", [query])
        body = ",".join(text for text, in connection.execute("SELECT text FROM rows"))
    if path == "/hang":
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f'data-marker="{{TEXT}}" {{body}}'.encode()]
"""
MIGRATION = """\
import web

with web.rows() as connection:
    connection.execute("INSERT INTO rows VALUES (?)", ["migrated-" + web.TEXT])
"""
GUNICORN = "gunicorn>=23"


def now() -> int:
    """The operator's clock."""
    return int(time.time())


_numbers = itertools.count(1)


@dataclass(frozen=True)
class Release:
    """A commit of the shop, with its settings."""

    id: str
    files: Mapping[str, str]
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.id


@dataclass
class Told:
    """What the table is to say of a fault."""

    sent: int | None = None
    lost: int | None = None
    serving: str | None = None
    up: str | None = None
    rows: int | None = None


class Shop:
    """The app on its server."""

    def __init__(self, server: Server, folder: Path, name: str = "shop", domain: str | None = None) -> None:
        self.server = server
        self.app = App(server, name)
        self.app.claim()
        self.domain = domain
        self._names = [domain] if domain else []
        spec = SiteSpec(name, self._names, [] if domain else [server.address], graceful_timeout=3)
        self._site = {path: {"content": file.content, "mode": file.mode} for path, file in render_site(spec).items()}
        self.certificate = folder / "certificate.pem"
        self.certificate.write_text(self._make_site(1)["certificate"])
        self.signed: list[str] = []

    @property
    def place(self) -> str:
        return f"/srv/{self.app.name}"

    def master(self, slot: str | None = None) -> str:
        """The process id of the gunicorn of a slot (default: the live one), as a shell word."""
        which = slot or f"$(basename $(readlink {self.place}/live))"
        return f"$(supervisorctl pid {self.app.name}-{which})"

    # ------------------------------------------------------------------------------------------------- releases

    def commit(self, extra: str = "", files: Mapping[str, str] | None = None, **changes: Any) -> Release:
        """New code."""
        name = f"r{next(_numbers)}"
        code = {
            "web.py": APP.format(text=name, extra=extra),
            "migrate.py": MIGRATION,
            "requirements.txt": f"{GUNICORN}\n",
        }
        return Release(name, code | dict(files or {}), changes)

    def request(self, wanted: Release, serial: int | None = None) -> dict[str, Any]:
        """What is sent to release it; uploads its source."""
        request = self.app.release_request(
            wanted.id,
            wanted.files,
            **{
                "environment": {"ROWS": f"{self.place}/shared/data/rows.db", "WEB_CONCURRENCY": "2"},
                "commands": {"build": [], "release": ["python migrate.py"]},
                "health": {"path": "/", "status": 200, "host": self.domain or self.server.address, "timeout": 20},
                "drain": 3,
                **wanted.changes,
            },
        )
        if serial is not None:
            request["serial"] = serial
        return request

    def up(self, wanted: Release) -> list[str]:
        """The steps that an `up` found to be done, and did."""
        observed = _of_app(self.server.agent("observe", {"apps": [self.app.name]}), self.app.name)
        found: list[str] = []
        digests = {path: hashlib.sha256(file["content"].encode()).hexdigest() for path, file in self._site.items()}
        if drift(observed, digests):
            self._make_site(site_serial(observed, digests, now()))
            found.append("site")
        serial = release_serial(observed, wanted.id, now())
        if serial != observed["release_serial"]:
            self.server.agent("release", self.request(wanted, serial))
            found.append("release")
        return found

    def _make_site(self, serial: int) -> dict[str, Any]:
        request = self.app.site_request(self._site, names=self._names)
        certificate = {"names": self._names, "addresses": [] if self.domain else [self.server.address]}
        return self.server.agent("site", {**request, "certificate": certificate, "serial": serial})

    # ------------------------------------------------------------------------------------------------- visitors

    def serving(self) -> str:
        """The release that answers."""
        return self._page().split('"')[1]

    def _page(self, path: str = "/") -> str:
        status, body, _ = self.server.get(path, host=self.domain)
        assert status == 200, f"{path}: {status} {body}"
        return body

    def sign(self) -> None:
        """A visitor's row, which has to be there for ever."""
        row = f"row-{len(self.signed)}"
        self._page(f"/sign?{row}")
        self.signed.append(row)

    def check_rows(self) -> int:
        """How many rows of visitors there are: all that were ever confirmed."""
        rows = self._page().split(" ", 1)[1].split(",")
        assert [row for row in rows if row.startswith("row-")] == self.signed
        return len(self.signed)

    def wait_for(self, release: Release, within: float = 40) -> None:
        deadline = time.monotonic() + within
        while True:
            try:
                if self.serving() == release.text:
                    return
            except (OSError, AssertionError, IndexError):
                pass
            assert time.monotonic() < deadline, f"{release.id} does not serve within {within} s"
            time.sleep(0.1)

    # ------------------------------------------------------------------------------------------------- faults

    @contextmanager
    def trial(self, told: Told, lost: int | None = 0) -> Iterator[Trial]:
        """A fault, in the block, while visitors come; then the next `up`, of the `wanted` release.

        At most `lost` requests may fail (None: any number, where there is a reason for them).
        """
        old = self.commit()
        self.up(old)
        self.sign()
        url, address = f"https://{self.domain or self.server.address}/", self.server.address if self.domain else None
        with start_load(url, RATE, 600, ca=self.certificate, timeout=PATIENCE, resolve=address) as load:
            trial = Trial(self, told, old)
            try:
                yield trial
                self.sign()
                assert trial.wanted is not None
                told.up = " and ".join(self.up(trial.wanted)) or "nothing to do"
                assert self.serving() == trial.wanted.text
                assert self.up(trial.wanted) == [], "the next up but one has something to do"
            finally:
                result = load.finish()
                told.sent, told.lost = result.total, result.failed
        assert lost is None or result.failed <= lost, result.failures
        assert set(result.markers) <= {old.text, trial.wanted.text, *(release.text for release in trial.between)}
        self.check_journal(trial.wanted)
        told.rows = self.check_rows()

    def check_journal(self, live: Release) -> None:
        """It ends with what is live."""
        entries = self.server.agent("journal", {"app": self.app.name, "lines": 20})["entries"]
        told = [entry["release"] for entry in entries if entry["ok"] and "release" in entry]
        assert told[-1] == live.id

    def run_to(self, step: str, how: str, wanted: Release) -> None:
        """Release it, with an agent that comes to this step only: see `at_step.py`."""
        script = Path(__file__).with_name("at_step.py").read_text()
        self.server.machine.root_run(["sh", "-c", "cat > /root/at_step.py; rm -f /run/at-step"], script)
        command = ["python3", "-I", "/root/at_step.py", step, how, "release"]
        request = json.dumps(self.request(wanted))
        if how != "halted":
            done = self.server.machine.root_run(command, request, 120)
            expected = (-9, 137) if how == "killed" else (0,)
            assert done.returncode in expected, f"the release never came to {step!r}: {done.stdout}{done.stderr}"
            return
        threading.Thread(target=self.server.machine.root_run, args=(command, request, 300), daemon=True).start()
        self.server.shell("for i in $(seq 600); do test -e /run/at-step && exit; sleep 0.05; done; exit 1", timeout=60)


@dataclass
class Trial:
    """One fault, as it goes."""

    shop: Shop
    told: Told
    old: Release
    wanted: Release | None = None
    between: list[Release] = field(default_factory=list)
    """Releases that visitors may see besides the old one and the wanted one."""

    def wants(self, release: Release) -> Release:
        """What the next `up` is to bring."""
        self.wanted = release
        return release

    def passes(self, release: Release) -> Release:
        self.between.append(release)
        return release

    def serves(self, *possible: Release) -> None:
        """One of these serves now, as visitors see it; the table says which."""
        found = self.shop.serving()
        assert found in [release.text for release in possible]
        self.told.serving = "old release" if found == self.old.text else "new release"

    def fails(self, release: Release, *words: str) -> str:
        """To release it is refused cleanly: with these words, and without anything unexpected; all that was said."""
        done = self.shop.server.run_agent("release", self.shop.request(release))
        assert done.returncode == 1, done.stderr
        assert "unexpected" not in done.stderr
        for word in words:
            assert word in done.stderr, done.stderr
        return done.stderr
