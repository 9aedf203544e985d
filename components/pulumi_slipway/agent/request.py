"""Reading the fields of a request, with messages that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import AgentError

# Also a user's name (with "-build" appended: 32 characters at most), a folder, and a part of an nginx name.
APP_NAME = re.compile(r"[a-z][a-z0-9-]{0,25}")
RELEASE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Document = Mapping[str, Any]


def text(document: Document, key: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise AgentError(f"request: {key!r} must be text, not {_kind(value)}")
    return value


def optional_text(document: Document, key: str) -> str | None:
    return None if document.get(key) is None else text(document, key)


def number(document: Document, key: str, default: float | None = None) -> float:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AgentError(f"request: {key!r} must be a number, not {_kind(value)}")
    return value


def integer(document: Document, key: str, default: int | None = None) -> int:
    value = number(document, key, default)
    if int(value) != value:
        raise AgentError(f"request: {key!r} must be a whole number, not {value}")
    return int(value)


def flag(document: Document, key: str, default: bool = False) -> bool:
    value = document.get(key, default)
    if not isinstance(value, bool):
        raise AgentError(f"request: {key!r} must be true or false, not {_kind(value)}")
    return value


def mapping(document: Document, key: str, default: Document | None = None) -> Document:
    value = document.get(key, default)
    if not isinstance(value, Mapping):
        raise AgentError(f"request: {key!r} must be an object, not {_kind(value)}")
    return value


def texts(document: Document, key: str) -> list[str]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise AgentError(f"request: {key!r} must be a list of texts")
    return list(value)


def mappings(document: Document, key: str) -> list[Document]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise AgentError(f"request: {key!r} must be a list of objects")
    return list(value)


def variables(document: Document, key: str) -> dict[str, str]:
    """A set of environment variables: names that a shell accepts, values without NUL."""
    result = dict(mapping(document, key, {}))
    for name, value in result.items():
        if not VARIABLE.fullmatch(name):
            raise AgentError(f"request: {key!r} holds {name!r}, which is no name of an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise AgentError(f"request: {key!r}: the value of {name} must be text without NUL characters")
    return result


def app_name(document: Document) -> str:
    return check_app_name(text(document, "app"))


def check_app_name(name: str) -> str:
    if not APP_NAME.fullmatch(name) or name.endswith(("-", "-build")):
        raise AgentError(
            f"app: {name!r} is no name for an app: use 1 to 26 of a-z, 0-9 and '-', beginning with a letter "
            "and not ending in '-' or '-build'"
        )
    return name


def release_id(document: Document, key: str = "release") -> str:
    return check_release_id(text(document, key))


def check_release_id(value: str) -> str:
    if not RELEASE_ID.fullmatch(value):
        raise AgentError(f"release: {value!r} is no release id (a-z, 0-9, '.', '_', '-'; 64 at most)")
    return value


def is_of_another_turn(document: Document, record: Document) -> bool:
    """Whether what is claimed was claimed anew since the claim that a request gives up (`presence` in `remote.py`)."""
    turn = optional_text(document, "turn")
    return turn is not None and record.get("turn") not in (turn, None)


def sha256(document: Document, key: str = "sha256") -> str:
    value = text(document, key)
    if not SHA256.fullmatch(value):
        raise AgentError(f"request: {key!r} must be a SHA-256 digest in lower-case hex")
    return value


def _kind(value: object) -> str:
    return "missing" if value is None else type(value).__name__
