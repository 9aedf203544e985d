"""Variables of an app: what can be said of them without looking at their values."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variables(names: Iterable[str]) -> None:
    """Raises `ValueError` for a name that no environment can hold."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"environment: {name!r} is no name of a variable; take letters, digits and _")
