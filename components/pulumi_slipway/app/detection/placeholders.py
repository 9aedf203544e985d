"""Variables for commands that import an application without serving it: builds get no secret, and need none."""

from __future__ import annotations

SECRET = "only-for-the-build"  # noqa: S105 (it keeps nothing secret, and nothing is signed with it)

NEUTRAL = {"DATABASE_URL": "sqlite:///:memory:", "SECRET_KEY": SECRET}
"""What applications that take their settings from the environment refuse to be imported without."""


def placeholder(name: str) -> str:
    """A value that whatever reads it can make something of: 1 is a text, a number, and true."""
    if "DEBUG" in name:
        return "0"
    return SECRET if name.endswith(("SECRET_KEY", "SECRET")) else "1"
