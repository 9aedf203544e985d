"""The fixtures of the rig's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The checkout's engine with an empty backend; what is left in its stack goes at the end."""
    engine = Engine(tmp_path / "engine")
    yield engine
    engine.close()
