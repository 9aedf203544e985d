"""Managed databases: PostgreSQL or MariaDB on a machine of its own, with TLS by the account's certificate authority.

Of a database the account keeps settings and addresses, and no password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import certificates, engines, machines, network
from .account import Account, CloudError
from .filters import Opening


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
    return certificates.authority(account)


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
    too. `sources`: as in `admit`. Raises `CloudError`; nothing is left then.
    """
    if engine not in engines.ENGINES:
        raise ValueError(f"engine {engine!r} is none of {', '.join(engines.ENGINES)}")
    port = port or engines.ENGINES[engine].port
    machine = machines.create(
        account, cloud="database", hostname="database", incoming=_openings(port, sources), packages=engines.packages()
    )
    try:
        public_address = network.reserve(account) if public else ""
        made = Database(
            machine.name, engine, machine.address, public_address, port, master_user, max_connections, force_tls
        )
        _write(account, made)
        if public:
            network.assign(account, public_address, machine.name)
        addresses = [address for address in (made.address, public_address) if address]
        server = _engine(account, made)
        server.serve(_settings(made), *certificates.server(account, addresses))
        server.add_master(master_user, master_password)
        for database in databases:
            server.add_database(database, master_user)
    except BaseException:
        remove(account, machine.name)
        raise
    return made


def get(account: Account, name: str) -> Database | None:
    """The server as it is now; None: it is gone."""
    known = account.read()["databases"].get(name)
    return Database(**known) if known is not None and machines.get(account, name) else None


def admit(account: Account, name: str, sources: Sequence[str]) -> None:
    """Let these CIDRs and addresses connect to the port, and nobody else; nothing else of the machine is reachable."""
    network.set_filter(account, name, _openings(_known(account, name).port, sources))


def configure(
    account: Account, name: str, *, max_connections: int | None = None, force_tls: bool | None = None
) -> None:
    """Change settings; the server restarts."""
    known = _known(account, name)
    wanted = Database(
        **vars(known)
        | ({} if max_connections is None else {"max_connections": max_connections})
        | ({} if force_tls is None else {"force_tls": force_tls})
    )
    if wanted != known:
        _engine(account, wanted).serve(_settings(wanted))
        _write(account, wanted)


def create_database(account: Account, name: str, database: str, owner: str = "") -> None:
    """Create a database of the server; `owner` (PostgreSQL): default the master user. Present is fine."""
    known = _known(account, name)
    _engine(account, known).add_database(database, owner or known.master_user)


def drop_database(account: Account, name: str, database: str) -> None:
    """Drop a database, with connections to it; absent is fine."""
    _engine(account, _known(account, name)).drop_database(database)


def create_user(account: Account, name: str, user: str, password: str, *, grants: Sequence[str] = ()) -> None:
    """Create a user, or set the password of the one that is there.

    `grants`: databases that it may work in as if they were its own (`*`: in all). Without, it may connect and has what
    the engine gives to everybody: since PostgreSQL 15 no right to make tables.
    """
    server = _engine(account, _known(account, name))
    server.add_user(user, password)
    for database in grants:
        server.grant(user, database)


def drop_user(account: Account, name: str, user: str) -> None:
    """Drop a user; what it owns goes to the master user. Absent is fine."""
    known = _known(account, name)
    _engine(account, known).drop_user(user, known.master_user)


def set_password(account: Account, name: str, user: str, password: str) -> None:
    """Set a user's password (the master's, too)."""
    _engine(account, _known(account, name)).add_user(user, password)


def remove(account: Account, name: str) -> None:
    """Remove the server with its data and its public address; absent is fine."""
    known = account.read()["databases"].get(name)
    machines.remove(account, name)
    if known is None:
        return
    if known["public_address"]:
        network.release(account, known["public_address"])
    with account.change() as data:
        data["databases"].pop(name, None)


def _openings(port: int, sources: Sequence[str]) -> list[Opening]:
    return [Opening("tcp", port, port, tuple(sources))] if sources else []


def _settings(database: Database) -> engines.Settings:
    return engines.Settings(database.port, database.max_connections, database.force_tls)


def _engine(account: Account, database: Database) -> engines.Engine:
    def run(command: Sequence[str], stdin: str | bytes) -> str:
        return machines.run(account, database.name, command, stdin)

    return engines.engine(database.engine, run)


def _known(account: Account, name: str) -> Database:
    known: dict[str, Any] | None = account.read()["databases"].get(name)
    if known is None:
        raise CloudError(f"there is no database server {name} in this account")
    return Database(**known)


def _write(account: Account, database: Database) -> None:
    with account.change() as data:
        data["databases"][database.name] = vars(database) | {}
