"""The one error of the driver."""

from __future__ import annotations


class LocalError(Exception):
    """Something that a person can act on; its text says what happened and what helps."""
