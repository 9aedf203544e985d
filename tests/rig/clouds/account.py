"""A cloud account: one folder with one JSON document, changed under a lock by whoever works in it.

The document's keys: `tag`, `counters`, `machines`, `addresses`, `databases`, `metadata` and `network` are the
substrate's (the modules of these names tell what is in them), `things` is what the stand-ins keep.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "SLIPWAY_RIG_ACCOUNT"
_LOCK_TIMEOUT: Final = 120.0  # seconds; whoever holds one does short work
_THING_KEYS: Final = ("cloud", "type")

_changing = threading.local()


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
        name = os.environ.get(VARIABLE, "")
        if not name:
            raise CloudError(
                "there is no cloud account to make this in: set the environment variable "
                f"{VARIABLE} to the absolute path of a folder for one (a preview needs none)"
            )
        return cls.at(Path(name))

    @classmethod
    def at(cls, folder: Path) -> Account:
        """The account in `folder`, which is made when missing. Raises `CloudError` when it is no absolute path."""
        if not folder.is_absolute():
            raise CloudError(f"{VARIABLE}: {str(folder)!r} is no absolute path of a folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = cls(folder, "")
        if not account.document.exists():
            with account.locked("account"):
                if not account.document.exists():
                    account._write({"tag": secrets.token_hex(3)})
        return cls(folder, account.read()["tag"])

    @property
    def document(self) -> Path:
        """The file that all state is in."""
        return self.folder / "account.json"

    def read(self) -> dict[str, Any]:
        """The document as it is now; a copy that the caller may change without effect."""
        data: dict[str, Any] = json.loads(self.document.read_text())
        for key in ("counters", "machines", "addresses", "databases", "things"):
            data.setdefault(key, {})
        return data

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Read, let the caller change, and write the document, under the account's lock; nothing is written when the
        block raises. Keep it short, and call nothing of the substrate inside: it takes the same lock."""
        if getattr(_changing, "active", False):
            raise RuntimeError("account.change() inside account.change(): the inner one would wait for ever")
        with self.locked("account"):
            _changing.active = True
            try:
                data = self.read()
                yield data
                self._write(data)
            finally:
                _changing.active = False

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the account's lock of this name."""
        with file_lock(self.folder / f"{name}.lock"):
            yield

    def next(self, kind: str) -> int:
        """1, 2, 3, …: a number of this `kind` that was never given before in this account."""
        with self.change() as data:
            number: int = data["counters"].get(kind, 0) + 1
            data["counters"][kind] = number
        return number

    # What the stand-ins keep: things by their id, of whatever shape their cloud needs

    def thing(self, identity: str) -> dict[str, Any] | None:
        """The thing of this id; None: there is none (any more)."""
        found: dict[str, Any] | None = self.read()["things"].get(identity)
        return found

    def things(self, kind: str = "") -> dict[str, dict[str, Any]]:
        """All things of this `type` (or all), by id."""
        return {key: thing for key, thing in self.read()["things"].items() if not kind or thing["type"] == kind}

    def put(self, identity: str, thing: Mapping[str, Any]) -> None:
        """Write a thing, replacing the one of that id.

        It must have `cloud` (the name of the stand-in's package here) and `type` (the resource's type token); the keys
        `machine`, `address` and `database` name what it owns of the substrate, and what goes with it when it is
        deleted behind Pulumi's back. All others are the stand-in's own.
        """
        missing = [key for key in _THING_KEYS if not thing.get(key)]
        if missing:
            raise ValueError(f"the thing {identity} is without {', '.join(missing)}")
        with self.change() as data:
            data["things"][identity] = dict(thing)

    def drop(self, identity: str) -> None:
        """Forget a thing (not what it owns); an absent one is fine."""
        with self.change() as data:
            data["things"].pop(identity, None)

    def _write(self, data: Mapping[str, Any]) -> None:
        scratch = self.folder / f".account.{os.getpid()}.{threading.get_ident()}"
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file, indent=1)
        scratch.replace(self.document)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which the kernel lets go of when its holder dies. Raises `CloudError` in the end."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    with _opened(path) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CloudError(f"waited {_LOCK_TIMEOUT:.0f} s for whoever holds {path}") from None
                time.sleep(0.01)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # Not to be created by a second user: in a folder for all, the kernel refuses that for a file that is there
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield file
    finally:
        os.close(file)
