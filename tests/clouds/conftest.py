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

_CELL = "cell"
_cells: Cells = {}
"""What this run has shown; reports come to a hook that is given nothing else to keep them in."""


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
            made.plain = plain.machine
            made.write()
        yield made


# ------------------------------------------------------------------------------------------------------ the table


def _cell_of(item: pytest.Item) -> tuple[Row, str] | None:
    """Row and line that a test is for; None: it is none of the table's."""
    marker = item.get_closest_marker("line")
    return (item.callspec.params["running"], marker.args[0]) if marker else None  # type: ignore[attr-defined]


def _is_wanted(item: pytest.Item) -> bool:
    cell = _cell_of(item)
    return cell is None or cell[1] in cell[0].lines


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "line(name): the line of the table that a test fills")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The lines of a row are for one worker, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRow(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.rpartition("[")[2]

    return ByRow(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A line that says nothing of a row is none of its cells."""
    items[:] = [item for item in items if _is_wanted(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    cell = _cell_of(item)
    if cell is None:
        return
    item.user_properties.append((_CELL, [str(cell[0]), cell[1]]))
    first = _cells.get((str(cell[0]), "up"))
    if first is not None and not first.passed:
        pytest.fail("its first up failed", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Kept where the table is printed, which with several workers is none of them."""
    if report.when != "call" and not report.failed:
        return
    for name, cell in report.user_properties:
        if name == _CELL:
            _cells[tuple(cell)] = Cell(report.passed, report.duration)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and not _chosen(session.config) and missing(_cells) and not _is_worker(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _chosen(config: pytest.Config) -> bool:
    """Whether somebody wants to see some of the cells only."""
    some = any("::" in argument for argument in config.args)
    return bool(some or config.option.keyword or config.option.collectonly)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.section("targets and databases")
    begun = {row for row, _ in _cells}
    chosen = _chosen(config)
    terminalreporter.write_line(render(_cells, [row for row in ROWS if not chosen or str(row) in begun]))
    absent = missing(_cells)
    if absent and not chosen:
        terminalreporter.write_line(f"{len(absent)} cells are missing")
