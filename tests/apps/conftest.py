"""One checkout for all rows; each app is a repository of its own outside of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import table_plugin
from tests.apps.apps import APPS, App
from tests.apps.sites import Site
from tests.apps.table import TABLE
from tests.e2e.checkout import Checkout, checkout


def pytest_configure(config: pytest.Config) -> None:
    table_plugin.configure(config, TABLE, "site")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout, set up."""
    with checkout(tmp_path_factory.mktemp("apps") / "slipway") as made:
        made.make("setup")
        yield made


@pytest.fixture(scope="class", params=APPS, ids=str)
def site(request: pytest.FixtureRequest, project: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One app and its stack, through all of its lines."""
    app: App = request.param
    folder: Path = tmp_path_factory.mktemp(app.name) / app.name
    made = Site(project, app, app.copy_to(folder), folder)
    with made.gone_at_the_end():
        yield made
