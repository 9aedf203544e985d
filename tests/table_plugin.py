"""What makes a suite one table: a test is a line, its parameter a row; what is missing at the end fails.

A `conftest.py` calls `configure` from its `pytest_configure`. Lines are tests marked `pytest.mark.line(name)`;
`parameter` is the fixture whose parameters, as text, are the rows.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.table import Cell, Cells, Table

_CELL = "cell"


class TablePlugin:
    """Collects the cells of a run, with pytest-xdist too, where the lines of a row stay with one worker in order."""

    def __init__(self, table: Table, parameter: str) -> None:
        self.table = table
        self.parameter = parameter
        self.cells: Cells = {}

    def _cell_of(self, item: pytest.Item) -> tuple[str, str] | None:
        """Row and line that a test is for; None: it is none of the table's."""
        marker = item.get_closest_marker("line")
        if marker is None:
            return None
        return str(item.callspec.params[self.parameter]), marker.args[0]  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        class ByRow(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                return nodeid.rpartition("[")[2]

        return ByRow(config, log)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """A line that says nothing of a row is none of its cells."""
        items[:] = [item for item in items if (cell := self._cell_of(item)) is None or self._is_wanted(*cell)]

    def _is_wanted(self, row: str, line: str) -> bool:
        return line in self.table.rows[row]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        cell = self._cell_of(item)
        if cell is None:
            return
        item.user_properties.append((_CELL, list(cell)))
        first = self.cells.get((cell[0], "up"))
        if first is not None and not first.passed:
            pytest.fail("its first up failed", pytrace=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Kept where the table is printed, which with several workers is none of them."""
        if report.when != "call" and not report.failed:
            return
        for name, cell in report.user_properties:
            if name == _CELL:
                self.cells[tuple(cell)] = Cell(report.passed, report.duration)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        is_worker = hasattr(session.config, "workerinput")
        if exitstatus == 0 and not _chosen(session.config) and self.table.missing(self.cells) and not is_worker:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        terminalreporter.section(self.table.title)
        chosen = _chosen(config)
        begun = {row for row, _ in self.cells} if chosen else None
        terminalreporter.write_line(self.table.render(self.cells, begun))
        absent = self.table.missing(self.cells)
        if absent and not chosen:
            terminalreporter.write_line(f"{len(absent)} cells are missing")


def configure(config: pytest.Config, table: Table, parameter: str) -> None:
    """Called by a conftest's `pytest_configure`."""
    config.addinivalue_line("markers", "line(name): the line of the table that a test fills")
    config.pluginmanager.register(TablePlugin(table, parameter))


def _chosen(config: pytest.Config) -> bool:
    """Whether somebody wants to see some of the cells only."""
    some = any("::" in argument for argument in config.args)
    return bool(some or config.option.keyword or config.option.collectonly)
