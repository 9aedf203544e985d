"""One checkout and one cloud account for all rows; the table at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.clouds.plain import plain_machine
from tests.clouds.stacks import CREDENTIALS, Stack, stack
from tests.clouds.table import ROWS, Cell, Cells, Row, missing, render
from tests.e2e.checkout import Checkout, checkout
from tests.machines import Machine
from tests.rig.clouds import inventory, machines
from tests.rig.clouds.account import Account

_CELLS = pytest.StashKey[Cells]()


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The account that the checkout's stand-ins use; empty again at the end."""
    folder = tmp_path_factory.mktemp("account")
    before = dict(os.environ)
    os.environ.update(CREDENTIALS)
    os.environ["SLIPWAY_RIG_ACCOUNT"] = str(folder)
    made = Account.open()
    try:
        yield made
    finally:
        inventory.empty(made)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def project(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout, set up."""
    with checkout(tmp_path_factory.mktemp("clouds") / "slipway") as made:
        made.make("setup")
        yield made


@pytest.fixture(scope="session")
def stranger(account: Account) -> Iterator[Machine]:
    """A machine in the same cloud that was granted nothing."""
    made = machines.create(
        account, cloud="ec2", user_data="#cloud-config\n{}\n", form="cloud-init", login="admin",
        public_keys=[], hostname="stranger",
    )  # fmt: skip
    yield Machine(made.name, made.name, made.address, 13)
    machines.remove(account, made.name)


@pytest.fixture(scope="class", params=ROWS, ids=str)
def running(request: pytest.FixtureRequest, project: Checkout, account: Account) -> Iterator[Stack]:
    """The stack of one row, through all of its lines."""
    row: Row = request.param
    with ExitStack() as last, stack(project, account, row) as made:
        if row.target == "existing":
            plain = last.enter_context(plain_machine())
            made.settings["existing"] = {
                "address": plain.machine.address,
                "user": plain.user,
                "private_key": plain.private_key,
                "host_key": plain.host_key,
                "harden": True,
            }
            made.plain = plain
            made.write()
        yield made


# ------------------------------------------------------------------------------------------------------ the table


def _line(item: pytest.Item) -> str:
    marker = item.get_closest_marker("line")
    assert marker is not None, f"{item.nodeid} is for no line of the table"
    return str(marker.args[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A line that says nothing of a row is none of its cells."""
    items[:] = [item for item in items if _line(item) in item.callspec.params["running"].lines]  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "line(name): the line of the table that a test fills")
    config.stash[_CELLS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    running = getattr(item, "funcargs", {}).get("running")
    if running is not None and not report.skipped and (report.when == "call" or report.failed):
        item.config.stash[_CELLS][str(running.row), _line(item)] = Cell(report.passed, report.duration)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and not _chosen(session.config) and missing(session.config.stash[_CELLS]):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _chosen(config: pytest.Config) -> bool:
    """Whether somebody wants to see some of the cells only."""
    some = any("::" in argument for argument in config.args)
    return bool(some or config.option.keyword or config.option.collectonly)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    cells = config.stash[_CELLS]
    terminalreporter.section("targets and databases")
    begun = {row for row, _ in cells}
    chosen = _chosen(config)
    terminalreporter.write_line(render(cells, [row for row in ROWS if not chosen or str(row) in begun]))
    absent = missing(cells)
    if absent and not chosen:
        terminalreporter.write_line(f"{len(absent)} cells are missing")
