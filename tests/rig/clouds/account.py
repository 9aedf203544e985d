"""A cloud account: one folder with one JSON document, changed under a lock by whoever works in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "SLIPWAY_RIG_ACCOUNT"


class CloudError(Exception):
    """What was asked for cannot be done; the text says what helps. Stand-ins show it as the refusal of the service."""


@dataclass(frozen=True)
class Account:
    """A cloud account. `tag` is a short random word in the names of all that it has on the host."""

    folder: Path
    tag: str

    @classmethod
    def open(cls) -> Account:
        """The account that the environment names; its folder is made when it is missing.

        Raises `CloudError` without the variable, or when it is no absolute path.
        """

    def read(self) -> dict[str, Any]:
        """The document as it is now; a copy that the caller may change without effect."""

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Read, let the caller change, and write the document, under the account's lock; nothing is written when the
        block raises. Keep it short, and call nothing of the substrate inside: it takes the same lock."""

    def next(self, kind: str) -> int:
        """1, 2, 3, …: a number of this `kind` that was never given before in this account."""

    # What the stand-ins keep: things by their id, of whatever shape their cloud needs

    def thing(self, identity: str) -> dict[str, Any] | None:
        """The thing of this id; None: there is none (any more)."""

    def things(self, kind: str = "") -> dict[str, dict[str, Any]]:
        """All things of this `type` (or all), by id."""

    def put(self, identity: str, thing: Mapping[str, Any]) -> None:
        """Write a thing, replacing the one of that id.

        It must have `cloud` (the name of the stand-in's package here) and `type` (the resource's type token); the keys
        `machine`, `address` and `database` name what it owns of the substrate, and what goes with it when it is
        deleted behind Pulumi's back. All others are the stand-in's own.
        """

    def drop(self, identity: str) -> None:
        """Forget a thing (not what it owns); an absent one is fine."""
