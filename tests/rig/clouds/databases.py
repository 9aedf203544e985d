"""Managed databases: PostgreSQL or MariaDB on a machine of its own, with TLS by the account's certificate authority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .account import Account


@dataclass(frozen=True)
class Database:
    """A managed database server. `name` is its machine's, `address` its private and `public_address` its other one
    (empty: none); the certificate is good for both."""

    name: str
    engine: str
    address: str
    public_address: str
    port: int
    master_user: str
    max_connections: int
    force_tls: bool


def ca_certificate(account: Account) -> str:
    """The account's certificate authority (PEM), made when it is first asked for; also in `<account>/ca.pem`."""


def create(
    account: Account,
    *,
    engine: str,
    master_user: str,
    master_password: str,
    databases: Sequence[str] = (),
    port: int = 0,
    max_connections: int = 100,
    force_tls: bool = False,
    public: bool = False,
    sources: Sequence[str] = (),
) -> Database:
    """Boot a server with a master user, who owns `databases`, may make databases and users, and is no superuser.

    `engine`: postgresql or mysql (Debian's MariaDB). `port` 0: the engine's usual one. `public`: with a public address,
    too. `sources`: as in `admit`.
    """


def get(account: Account, name: str) -> Database | None:
    """The server as it is now; None: it is gone."""


def admit(account: Account, name: str, sources: Sequence[str]) -> None:
    """Let these CIDRs and addresses connect to the port, and nobody else; nothing else of the machine is reachable."""


def configure(
    account: Account, name: str, *, max_connections: int | None = None, force_tls: bool | None = None
) -> None:
    """Change settings; the server restarts where its engine needs that."""


def create_database(account: Account, name: str, database: str, owner: str = "") -> None:
    """Create a database of the server; `owner` (PostgreSQL): default the master user. Present is fine."""


def drop_database(account: Account, name: str, database: str) -> None:
    """Drop a database, with connections to it; absent is fine."""


def create_user(account: Account, name: str, user: str, password: str, *, grants: Sequence[str] = ()) -> None:
    """Create a user, or set the password of the one that is there.

    `grants`: databases on which it may do everything that their owner may but dropping them; `*` (MySQL): on all.
    Without, it may connect and has what the engine gives to everybody: in PostgreSQL 15+ no right to make tables.
    """


def drop_user(account: Account, name: str, user: str) -> None:
    """Drop a user; what it owns goes to the master user. Absent is fine."""


def set_password(account: Account, name: str, user: str, password: str) -> None:
    """Set a user's password (the master's, too)."""


def remove(account: Account, name: str) -> None:
    """Remove the server with its data and its public address; absent is fine."""
