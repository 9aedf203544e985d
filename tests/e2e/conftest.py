"""One launched checkout for the tests that only release to it; each of them leaves it with a good release live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout, checkout


@pytest.fixture(scope="session")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout after its first `make up`."""
    with checkout(tmp_path_factory.mktemp("launched") / "slipway") as made:
        made.make("up")
        yield made


@pytest.fixture
def site(launched: Checkout) -> Iterator[Checkout]:
    """The launched checkout with its source as committed, and live; what a test changes in it is taken back."""
    yield launched
    if launched.git("status", "--porcelain"):
        launched.revert()
        launched.up()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout of one's own, not launched yet."""
    with checkout(tmp_path_factory.mktemp("fresh") / "slipway") as made:
        yield made


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder
