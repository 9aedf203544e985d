"""One server for all tests of the agent, set up as the real ones are; a fresh app for each test that wants one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.agent.server import App, Server, key_pair, new_server, source

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as bootstrap makes it, with the agent of this checkout, and no app."""
    keys = tmp_path_factory.mktemp("keys")
    with new_server(key_pair(keys, "ecdsa"), key_pair(keys, "ed25519")) as found:
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
