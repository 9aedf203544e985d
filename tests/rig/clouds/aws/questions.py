"""How questions choose: candidates, filters, exactly one."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from ...resources import RefusedError
from ...values import UNKNOWN, Properties

Facts = Mapping[str, Any]


def matching(candidates: Iterable[Facts], filters: Iterable[Facts], what: str) -> list[Facts]:
    """The candidates that all filters admit: one of a filter's values, with wildcards, is the fact of that name.

    Raises RefusedError for a filter that the candidates have no fact for.
    """
    chosen = list(candidates)
    for wanted in filters:
        name = wanted["name"]
        if chosen and name not in chosen[0] and not name.startswith("tag:"):
            text = f"The filter '{name}' is invalid; of {what} this stand-in knows {', '.join(sorted(chosen[0]))}"
            raise RefusedError(f"api error InvalidParameterValue: {text}")
        chosen = [one for one in chosen if any(fnmatch.fnmatchcase(_text(one, name), v) for v in wanted["values"])]
    return chosen


def _text(facts: Facts, name: str) -> str:
    value = facts["tags"].get(name.removeprefix("tag:"), "") if name.startswith("tag:") else facts[name]
    return str(value).lower() if isinstance(value, bool) else str(value)


def all_known(inputs: Properties) -> Properties:
    """The inputs, none of which may be unknown."""
    if UNKNOWN in inputs.values():
        raise RefusedError("a function was called with an input that is not known yet")
    return inputs
