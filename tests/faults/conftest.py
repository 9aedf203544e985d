"""One server for all faults but those of the real engine; the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.agent.server import key_pair, new_server
from tests.faults.shop import Shop, Told
from tests.faults.table import Row, missing, render

_TOLD = "told"
_rows: dict[str, Row] = {}
"""What this run has shown; reports come to a hook that is given nothing else to keep them in."""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The app on its server."""
    keys = tmp_path_factory.mktemp("keys")
    with new_server(key_pair(keys, "ecdsa"), key_pair(keys, "ed25519"), "faults") as server:
        yield Shop(server, tmp_path_factory.mktemp("shop"))


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    """What the table is to say of the fault that the test is marked with."""
    made = Told()
    yield made
    request.node.user_properties.append((_TOLD, asdict(made)))


def fault_of(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("fault")
    return None if marker is None else str(marker.args[0])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name): the fault of the table that a test shows")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report, fault = outcome.get_result(), fault_of(item)
    if fault is None:
        return
    if call.when == "call":
        _rows[fault] = Row(report.passed, call.duration)
    elif report.failed:
        _rows[fault] = Row(False, call.duration)
    if call.when == "teardown" and fault in _rows:
        told = dict(item.user_properties).get(_TOLD, {})
        row = _rows[fault]
        _rows[fault] = Row(row.passed, row.seconds, **told)  # type: ignore[arg-type]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and not _chosen(session.config) and missing(_rows):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.section("faults")
    terminalreporter.write_line(render(_rows, only=_chosen(config)))
    absent = missing(_rows)
    if absent and not _chosen(config):
        terminalreporter.write_line(f"{len(absent)} faults were not tried")


def _chosen(config: pytest.Config) -> bool:
    """Whether somebody wants to see some of the rows only."""
    some = any("::" in argument or Path(argument).suffix == ".py" for argument in config.args)
    return bool(some or config.option.keyword or config.option.collectonly)
