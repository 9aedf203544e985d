"""The fixtures of the rig's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.engine import Engine
from tests.rig.paper_cloud import PaperCloud


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The checkout's engine with an empty backend; what is left in its stack goes at the end."""
    engine = Engine(tmp_path / "engine")
    yield engine
    engine.close()


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PaperCloud:
    """An account without machines, for tests of what a stand-in asks for and answers."""
    return PaperCloud(tmp_path, monkeypatch)
