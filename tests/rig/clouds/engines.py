"""How the two engines are set up and told what to do, inside their machines.

Every name and password reaches the engine as hexadecimal digits in a statement on stdin, and the engine itself quotes
it: no character of it is special on the way, and none of it is in an argument list or an error.
"""

from __future__ import annotations

import io
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Run = Callable[[Sequence[str], str | bytes], str]
"""Runs a command as root in the machine, with this stdin, and returns its stdout."""

_FOLDER: Final = "etc/rig-database"


@dataclass(frozen=True)
class Settings:
    """What of a server can be changed later."""

    port: int
    max_connections: int
    force_tls: bool


class Engine(ABC):
    """One engine on one machine; every operation can be repeated."""

    port: int
    package: str
    user: str
    """The system's user that the server runs as."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def serve(self, settings: Settings, certificate: str = "", key: str = "") -> None:
        """Have the server run with these settings, and with the certificate when there is a new one."""
        files = self.files(settings)
        if certificate:
            files |= {"server.pem": certificate, "server-key.pem": key}
        self.run(["sh", "-c", f"tar -x -f - -C / && {self.restart}"], _archive(files, self.user))

    restart: str
    """Shell text that puts the files of `/etc/rig-database` in force."""

    @abstractmethod
    def files(self, settings: Settings) -> dict[str, str]:
        """The settings' files by name."""

    @abstractmethod
    def add_master(self, user: str, password: str) -> None:
        """Make the master user, or set its password."""

    @abstractmethod
    def add_database(self, name: str, owner: str) -> None:
        """Make a database of this owner."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Drop a database and the connections to it."""

    @abstractmethod
    def add_user(self, user: str, password: str) -> None:
        """Make a user, or set its password."""

    @abstractmethod
    def grant(self, user: str, database: str) -> None:
        """Let the user work in the database; `*`: in all."""

    @abstractmethod
    def drop_user(self, user: str, heir: str) -> None:
        """Drop a user and give what it has to another one."""


class PostgreSQL(Engine):
    """Debian's PostgreSQL, in the one cluster that its package makes."""

    port = 5432
    package = "postgresql"
    user = "postgres"
    restart = (
        'version=$(ls /etc/postgresql) && folder="/etc/postgresql/$version/main" && '
        f'ln -sf /{_FOLDER}/rig.conf "$folder/conf.d/rig.conf" && '
        f'ln -sf /{_FOLDER}/pg_hba.conf "$folder/pg_hba.conf" && '
        'systemctl --quiet enable postgresql && systemctl restart "postgresql@$version-main"'
    )

    def files(self, settings: Settings) -> dict[str, str]:
        """Roles that may do all come by the socket only; over the network is what the service rents out."""
        kind = "hostssl" if settings.force_tls else "host"
        return {
            "rig.conf": (
                f"listen_addresses = '*'\nport = {settings.port}\nmax_connections = {settings.max_connections}\n"
                f"ssl = on\nssl_cert_file = '/{_FOLDER}/server.pem'\nssl_key_file = '/{_FOLDER}/server-key.pem'\n"
                "password_encryption = 'scram-sha-256'\nlog_min_error_statement = panic\n"
            ),
            "pg_hba.conf": f"local all postgres peer\n{kind} all all 0.0.0.0/0 scram-sha-256\n",
        }

    def add_master(self, user: str, password: str) -> None:
        self.add_user(user, password)
        self._execute("ALTER ROLE %I CREATEDB CREATEROLE", [user])

    def add_database(self, name: str, owner: str) -> None:
        found = _postgresql_text(name)
        self._execute(
            "CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8''",
            [name, owner],
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {found})",
        )

    def drop_database(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS %I WITH (FORCE)", [name])

    def add_user(self, user: str, password: str) -> None:
        found = _postgresql_text(user)
        self._execute(
            "CREATE ROLE %I LOGIN", [user], f"WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {found})"
        )
        self._execute("ALTER ROLE %I PASSWORD %L", [user, password])

    def grant(self, user: str, database: str) -> None:
        for one in self._databases() if database == "*" else [database]:
            self._execute("GRANT ALL ON DATABASE %2$I TO %1$I", [user, one])
            for what in ("SCHEMA public", "ALL TABLES IN SCHEMA public", "ALL SEQUENCES IN SCHEMA public"):
                self._execute(f"GRANT ALL ON {what} TO %I", [user], database=one)

    def drop_user(self, user: str, heir: str) -> None:
        exists = f"WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = {_postgresql_text(user)})"
        for one in self._databases():
            self._execute("REASSIGN OWNED BY %I TO %I", [user, heir], exists, database=one)
            self._execute("DROP OWNED BY %I", [user], exists, database=one)
        self._execute("DROP ROLE IF EXISTS %I", [user])

    def _databases(self) -> list[str]:
        question = "SELECT encode(convert_to(datname, 'UTF8'), 'hex') FROM pg_database WHERE NOT datistemplate;\n"
        return [bytes.fromhex(line).decode() for line in self._psql(question, "postgres").split()]

    def _execute(self, statement: str, values: Sequence[str], where: str = "", database: str = "postgres") -> None:
        given = ", ".join([f"'{statement}'", *map(_postgresql_text, values)])
        self._psql(f"SELECT format({given}) {where} \\gexec\n", database)

    def _psql(self, text: str, database: str) -> str:
        # The database's name not as an option, which could be one of a connection
        return self.run(
            ["runuser", "-u", "postgres", "--", "env", f"PGDATABASE={database}", "psql", "--no-psqlrc", "--quiet",
             "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"],
            text,
        )  # fmt: skip


class MariaDB(Engine):
    """Debian's MariaDB, in MySQL's place."""

    port = 3306
    package = "mariadb-server"
    user = "mysql"
    restart = (
        f"ln -sf /{_FOLDER}/rig.cnf /etc/mysql/mariadb.conf.d/99-rig.cnf && "
        "systemctl --quiet enable mariadb && systemctl restart mariadb"
    )
    # What Amazon RDS gives its master user; none of them reaches beyond the data
    _MASTER: Final = (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, "
        "CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, "
        "CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER"
    )

    def files(self, settings: Settings) -> dict[str, str]:
        """The server's own group of settings, read last."""
        return {
            "rig.cnf": (
                f"[mysqld]\nbind-address = 0.0.0.0\nport = {settings.port}\nskip-name-resolve\n"
                f"max_connections = {settings.max_connections}\n"
                f"ssl_cert = /{_FOLDER}/server.pem\nssl_key = /{_FOLDER}/server-key.pem\n"
                f"require_secure_transport = {'ON' if settings.force_tls else 'OFF'}\n"
            )
        }

    def add_master(self, user: str, password: str) -> None:
        self.add_user(user, password)
        self._execute(f"'GRANT {self._MASTER} ON *.* TO ', QUOTE(@a), '@''%'' WITH GRANT OPTION'", user)

    def add_database(self, name: str, owner: str) -> None:
        self._execute(f"'CREATE DATABASE IF NOT EXISTS ', {_MYSQL_NAME}, ' CHARACTER SET utf8mb4'", name)

    def drop_database(self, name: str) -> None:
        self._execute(f"'DROP DATABASE IF EXISTS ', {_MYSQL_NAME}", name)

    def add_user(self, user: str, password: str) -> None:
        self._execute("'CREATE USER IF NOT EXISTS ', QUOTE(@a), '@''%'' IDENTIFIED BY ', QUOTE(@b)", user, password)
        self._execute("'ALTER USER ', QUOTE(@a), '@''%'' IDENTIFIED BY ', QUOTE(@b)", user, password)

    def grant(self, user: str, database: str) -> None:
        if database == "*":
            self._execute("'GRANT ALL ON *.* TO ', QUOTE(@a), '@''%'''", user)
        else:
            # In a grant, `_` and `%` of a database's name are wildcards
            exact = f"REPLACE(REPLACE(CONCAT({_MYSQL_NAME}), '_', '\\\\_'), '%', '\\\\%')"
            self._execute(f"'GRANT ALL ON ', {exact}, '.* TO ', QUOTE(@b), '@''%'''", database, user)

    def drop_user(self, user: str, heir: str) -> None:
        self._execute("'DROP USER IF EXISTS ', QUOTE(@a), '@''%'''", user)

    def _execute(self, parts: str, *values: str) -> None:
        given = "".join(
            f"SET @{name} = CONVERT(UNHEX('{value.encode().hex()}') USING utf8mb4);\n"
            for name, value in zip("ab", values, strict=False)
        )
        # By the socket, whose other end needs no certificate
        self.run(
            ["mariadb", "--skip-ssl", "--batch", "mysql"],
            f"SET NAMES utf8mb4;\n{given}EXECUTE IMMEDIATE CONCAT({parts});\n",
        )


_MYSQL_NAME: Final = "'`', REPLACE(@a, '`', '``'), '`'"

ENGINES: Final[dict[str, type[Engine]]] = {"postgresql": PostgreSQL, "mysql": MariaDB}


def _postgresql_text(value: str) -> str:
    return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"


def _archive(files: dict[str, str], user: str) -> bytes:
    """The files below `/etc/rig-database`, of the server's user alone."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        folder = tarfile.TarInfo(_FOLDER)
        folder.type, folder.mode, folder.uname, folder.gname = tarfile.DIRTYPE, 0o755, user, user
        archive.addfile(folder)
        for name, text in files.items():
            data = text.encode()
            file = tarfile.TarInfo(f"{_FOLDER}/{name}")
            file.size, file.mode, file.uname, file.gname = len(data), 0o600, user, user
            archive.addfile(file, io.BytesIO(data))
    return content.getvalue()


def engine(name: str, run: Run) -> Engine:
    """The engine of this name. Raises `ValueError` for another one."""
    if name not in ENGINES:
        raise ValueError(f"engine {name!r} is none of {', '.join(ENGINES)}")
    return ENGINES[name](run)


def packages() -> list[str]:
    """The packages of all engines: one image serves them all, so that it is built once."""
    return sorted(kind.package for kind in ENGINES.values())
