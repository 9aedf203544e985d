"""Databases on this machine, by the distribution's own server: whose they are, and how they come and go.

`database` makes one with its role and password, `database-remove` gives it up: by default its role is only locked,
and its rows stay for a later claim. The engines are in `database_postgresql.py` and `database_mariadb.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import database_mariadb, database_postgresql, files, paths, progress, request
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import held
from .progress import say
from .request import Document

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PASSWORD = re.compile(r"[!-~]{16,128}")
_LOCK = "database"
_PATIENCE = 1200.0
"""Seconds to wait for another claim, which may be installing packages."""


class Engine(Protocol):
    """What both engines can do. Each of these may be called again; names were checked."""

    def installed(self) -> bool:
        """Whether the server is on this machine, running or not."""

    def ensure_server(self) -> bool:
        """Have the server installed, sized and running; whether anything was done."""

    def ensure(self, name: str, user: str, password: str) -> bool:
        """Have the role with this password, and the database that it owns; whether anything was done."""

    def exists(self, name: str, user: str) -> str:
        """What is there already: "database", "user" or nothing."""

    def present(self, name: str) -> bool:
        """Whether the server runs and has the database; quick, and never an error."""

    def lock(self, user: str) -> None:
        """Let nobody in as `user`; what it owns stays."""

    def drop(self, name: str, user: str) -> None:
        """Remove both, with connections to them."""

    def withdraw(self) -> None:
        """Take back the server's settings, and stop it if nobody else uses it."""

    def describe(self) -> dict[str, Any]:
        """`port`, `connections` and `version` of the running server."""


ENGINES: dict[str, Engine] = {
    "mariadb": database_mariadb.MariaDb(),
    "postgresql": database_postgresql.PostgreSql(),
}


@dataclass(frozen=True)
class Claim:
    """One database as it is asked for."""

    engine: str
    name: str
    user: str
    owner: str
    turn: str | None

    @classmethod
    def read(cls, document: Document) -> Claim:
        engine = request.text(document, "engine")
        if engine not in ENGINES:
            raise AgentError(f"engine: {engine!r} is none of {', '.join(ENGINES)}")
        name, user = request.text(document, "name"), request.text(document, "user")
        for key, value in (("name", name), ("user", user)):
            if not _NAME.fullmatch(value) or value in (
                "postgres",
                "mysql",
                "root",
                "mariadb",
                "template0",
                "template1",
            ):
                raise AgentError(f"{key}: {value!r} cannot be used: take 1 to 32 of a-z, 0-9 and _, letter first")
        return cls(engine, name, user, request.text(document, "owner"), request.optional_text(document, "turn"))

    @property
    def spelled(self) -> str:
        return f"{self.engine}/{self.name}"

    @property
    def path(self) -> Path:
        return _records() / f"{self.engine}-{self.name}.json"


def database(document: Document) -> dict[str, Any]:
    """Have the database, its role and password, for `owner` alone; `serial` is kept for whoever observes."""
    claim, serial = Claim.read(document), request.integer(document, "serial", 0)
    password = request.text(document, "password")
    progress.hide([password])
    if not _PASSWORD.fullmatch(password):
        raise AgentError("password: use 16 to 128 printable ASCII characters without a space")
    engine = ENGINES[claim.engine]
    with (
        held(_LOCK, f"database {claim.spelled}", _PATIENCE),
        recorded(machine_journal(), "database", database=claim.spelled) as entry,
    ):
        found = _mine(claim)
        changed = engine.ensure_server()
        if found is None:
            there = engine.exists(claim.name, claim.user)
            if there:
                raise AgentError(
                    f"a {there} {(claim.user if there == 'user' else claim.name)!r} that is not Slipway's is in "
                    f"{claim.engine} on this server: give the database another name"
                )
            _note(claim, serial)  # before it is made: a run that is interrupted can be run again
        changed = engine.ensure(claim.name, claim.user, password) or changed
        entry["skip"] = not changed
        _note(claim, serial)
        say(f"{claim.spelled} is {'ready' if changed else 'as it was'}")
        described = engine.describe()
    return {
        "engine": claim.engine,
        "host": "127.0.0.1",
        "name": claim.name,
        "user": claim.user,
        "changed": changed,
        **described,
    }


def remove(document: Document) -> dict[str, Any]:
    """Give the database up: with `keep_data` (the default) its role is locked and the rows stay, else it is dropped."""
    claim, keep = Claim.read(document), request.flag(document, "keep_data", True)
    engine = ENGINES[claim.engine]
    with (
        held(_LOCK, f"remove database {claim.spelled}", _PATIENCE),
        recorded(machine_journal(), "database-remove", database=claim.spelled) as entry,
    ):
        found = files.read_json(claim.path)
        if found is None or (found.get("owner") is None and keep):
            entry["skip"] = True
            say(f"{claim.spelled} is not in use on this server")
            return {"removed": False}
        if found.get("owner") not in (claim.owner, None):
            raise _others(claim)
        if request.is_of_another_turn(document, found):
            entry["skip"] = True
            say(f"{claim.spelled} was claimed anew since: it stays")
            return {"removed": False}
        if not engine.installed():
            claim.path.unlink()
            say(f"{claim.spelled} is gone, and its server with it")
            return {"removed": True}
        if not engine.present(claim.name):
            engine.ensure_server()
        if keep:
            engine.lock(claim.user)
            files.write_json(claim.path, {**found, "owner": None}, 0o600)
            say(f"{claim.spelled} is locked; its rows stay")
            return {"removed": True}
        engine.drop(claim.name, claim.user)
        claim.path.unlink()
        if not any(record["engine"] == claim.engine for record in _all()):
            engine.withdraw()
        say(f"{claim.spelled} is dropped")
    return {"removed": True}


def drop(engine: str, name: str) -> None:
    """Drop a database for good, whoever has it: for a machine that is given back, once its rows are elsewhere."""
    found = files.read_json(_records() / f"{engine}-{name}.json") or {}
    document = {"engine": engine, "name": name, "user": found.get("user", name), "owner": found.get("owner") or ""}
    remove({**document, "keep_data": False})


def observed(asked: list[str]) -> dict[str, Any]:
    """Of each `engine/name` in `asked`: whether it is there for its owner, the serial of its claim, and whether it is
    there for a later owner, with its rows."""
    return {spelled: _observed(spelled) for spelled in asked}


def claimed() -> list[str]:
    """The databases with rows on this machine, those that were given up but kept among them."""
    return sorted(f"{record['engine']}/{record['name']}" for record in _all())


def _observed(spelled: str) -> dict[str, Any]:
    engine, _, name = spelled.partition("/")
    if engine not in ENGINES or not _NAME.fullmatch(name):
        raise AgentError(f"request: 'databases' holds {spelled!r}; write engine/name")
    found = files.read_json(_records() / f"{engine}-{name}.json")
    there = found is not None and ENGINES[engine].present(name)
    owned = (found or {}).get("owner") is not None
    return {"present": there and owned, "serial": int((found or {}).get("serial", 0)), "kept": there and not owned}


def _mine(claim: Claim) -> dict[str, Any] | None:
    """The record of the claimed database, if there is one and nobody else has it."""
    for record in _all():
        if record["engine"] == claim.engine and record["user"] == claim.user and record["name"] != claim.name:
            raise AgentError(
                f"user: {claim.user!r} is that of the database {record['name']!r}: give this one another user"
            )
    found = files.read_json(claim.path)
    if found is None:
        return None
    if found.get("owner") not in (claim.owner, None):
        raise _others(claim)
    if found["user"] != claim.user:
        raise AgentError(f"user: the database {claim.name!r} on this server belongs to the user {found['user']!r}")
    return found


def _note(claim: Claim, serial: int) -> None:
    files.folder(_records(), 0o700)
    record = {
        "engine": claim.engine,
        "name": claim.name,
        "user": claim.user,
        "owner": claim.owner,
        "serial": serial,
        "turn": claim.turn,
    }
    if files.read_json(claim.path) != record:
        files.write_json(claim.path, record, 0o600)


def _others(claim: Claim) -> AgentError:
    return AgentError(
        f"the database {claim.name!r} in {claim.engine} on this server belongs to another stack: "
        "give this one another name, or remove that one there first"
    )


def _all() -> Iterator[dict[str, Any]]:
    for path in sorted(_records().glob("*.json")):
        record = files.read_json(path)
        if record is not None:
            yield record


def _records() -> Path:
    return paths.state() / "databases"
