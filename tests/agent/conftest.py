"""One server for all tests of the agent, set up as the real ones are; a fresh app for each test that wants one."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_slipway.bootstrap import HostKeyPair, render_user_data
from pulumi_slipway.bootstrap import Machine as Description
from tests.agent.server import App, Server, source
from tests.machines import machine

_numbers = itertools.count(1)


def _key_pair(folder: Path, kind: str) -> HostKeyPair:
    path = folder / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return HostKeyPair(path.read_text(), path.with_suffix(".pub").read_text().strip())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as bootstrap makes it, with the agent of this checkout, and no app."""
    keys = tmp_path_factory.mktemp("keys")
    description = Description("agent-test", _key_pair(keys, "ecdsa"), [_key_pair(keys, "ed25519").public])
    debian = int(os.environ.get("SLIPWAY_TEST_DEBIAN", "13"))
    with machine(render_user_data(description), debian) as box:
        found = Server(box)
        found.shell("test -f /var/lib/slipway/bootstrapped")
        found.install_agent()
        yield found


@pytest.fixture(scope="session")
def shared_app(server: Server) -> App:
    """The app of those tests that only need one that serves; it goes with the server."""
    app = App(server, "shared")
    app.claim()
    app.site()
    return app


@pytest.fixture
def app(shared_app: App) -> App:
    """An app whose live release answers "old"."""
    live = shared_app.observe()["live"]
    if live is None or not live.startswith("old-"):
        shared_app.release(f"old-{next(_numbers)}", source("old"))
    assert shared_app.server.text() == "old"
    return shared_app


@pytest.fixture
def fresh_id() -> str:
    """The id of a release that there was none of yet."""
    return f"new-{next(_numbers)}"
