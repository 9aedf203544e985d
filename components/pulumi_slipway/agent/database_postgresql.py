"""PostgreSQL of the distribution on this machine: reached by loopback and socket only, one role for each database."""

# Names in statements were checked by a pattern that leaves nothing to quote.
# ruff: noqa: S608

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import database_system, paths, users
from .database_system import ask, memory_mib
from .errors import AgentError
from .progress import hide, say
from .run import tool

_ITERATIONS = 4096
"""PostgreSQL's own default, `scram_iterations`."""
_SETTINGS = "90-slipway.conf"
_RESTART_WITHIN = 120.0


@dataclass(frozen=True)
class Cluster:
    """A server of PostgreSQL in the manner of Debian: version, name and port."""

    version: str
    name: str
    port: int
    online: bool

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    @property
    def settings(self) -> Path:
        return paths.rooted("/etc/postgresql") / self.version / self.name / "conf.d" / _SETTINGS


class PostgreSql:
    """The engine `postgresql`, see `database_server.Engine`."""

    def installed(self) -> bool:
        return _installed()

    def ensure_server(self) -> bool:
        cluster = cluster_in_use()
        changed = cluster is None
        if cluster is None:
            database_system.install(["postgresql"])
            cluster = cluster_in_use()
            if cluster is None:
                raise AgentError("PostgreSQL is installed, but has no cluster: make one by pg_createcluster")
            _mark().parent.mkdir(mode=0o700, exist_ok=True)
            _mark().touch(0o600)
        if _mark().exists():
            changed = _size(cluster) or changed
        cluster = cluster_in_use()
        if cluster is not None and not cluster.online:
            say("starting PostgreSQL")
            tool(["systemctl", "enable", "--quiet", "postgresql.service"])
            tool(["systemctl", "start", "postgresql.service", cluster.unit], _RESTART_WITHIN)
            changed = True
        return changed

    def ensure(self, name: str, user: str, password: str) -> bool:
        changed = False
        found = _sql(f"SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = '{user}'").strip()
        can_login, _, verifier = found.partition("|")
        if can_login != "t" or not _matches(verifier, password):
            verifier = _verifier(password, os.urandom(16), _ITERATIONS)
            hide([verifier])
            what = "ALTER" if found else "CREATE"
            _sql(f"{what} ROLE \"{user}\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{verifier}'")
            changed = True
        if not _sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'").strip():
            # from template0: the others have the encoding of the locale that the package was installed in
            _sql(
                f'CREATE DATABASE "{name}" OWNER "{user}" TEMPLATE template0 ENCODING \'UTF8\''
                " LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
            )
            changed = True
        _sql(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        return changed

    def exists(self, name: str, user: str) -> str:
        if _sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'").strip():
            return "database"
        return "user" if _sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'").strip() else ""

    def present(self, name: str) -> bool:
        with contextlib.suppress(AgentError):
            return bool(_sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'", timeout=5).strip())
        return False

    def lock(self, user: str) -> None:
        if _sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'").strip():
            _sql(f'ALTER ROLE "{user}" NOLOGIN')
            _sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'")

    def drop(self, name: str, user: str) -> None:
        self.lock(user)
        _sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        _sql(f'DROP ROLE IF EXISTS "{user}"')

    def withdraw(self) -> None:
        cluster = cluster_in_use()
        if cluster is None or not _mark().exists():
            return
        cluster.settings.unlink(missing_ok=True)
        if _sql("SELECT 1 FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'").strip():
            tool(["systemctl", "restart", cluster.unit], _RESTART_WITHIN)
            return
        say("stopping PostgreSQL, which nobody uses any more")
        tool(["systemctl", "disable", "--quiet", "--now", "postgresql.service"], _RESTART_WITHIN)

    def describe(self) -> dict[str, Any]:
        text = _sql("SHOW port; SHOW max_connections; SHOW superuser_reserved_connections; SHOW server_version")
        port, admitted, reserved, version = text.split("\n")[:4]
        return {"port": int(port), "connections": int(admitted) - int(reserved), "version": version.split()[0]}


def cluster_in_use() -> Cluster | None:
    """The server to use; None: there is none."""
    if not _installed():
        return None
    return choose(tool(["pg_lsclusters", "--no-header"]))


def choose(listing: str) -> Cluster | None:
    """Of what pg_lsclusters says: one that runs, if any does, and the one with the lowest port. An upgrade of Debian
    adds a newer one with the next port, and upgrading a cluster gives the port to the new one: it is where the rows
    are."""
    found = []
    for line in listing.splitlines():
        version, name, port, status, *_ = line.split()
        found.append(Cluster(version, name, int(port), status.startswith("online")))
    return min(found, key=lambda one: (not one.online, one.port), default=None)


def _installed() -> bool:
    return paths.rooted("/usr/bin/pg_lsclusters").exists()


def _size(cluster: Cluster) -> bool:
    """Have the server's settings as this machine needs them; whether that changed them, and restarted it."""
    place = cluster.settings
    before = place.read_text() if place.is_file() else ""
    if not database_system.put(place, settings(database_system.sized_for(before, memory_mib()))):
        return False
    say("PostgreSQL takes up its settings")
    tool(["systemctl", "restart", cluster.unit], _RESTART_WITHIN)
    return True


def settings(memory: int) -> str:
    """The settings for a machine of so many MiB, where an app lives, too."""
    buffers = database_system.buffers_mib(memory)
    cpus = len(os.sched_getaffinity(0))
    return f"""\
# Written by Slipway (sized for {memory} MiB); what is edited here is put right by the next `pulumi up`.
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
max_connections = {database_system.connections(memory, cpus)}
shared_buffers = '{buffers}MB'
effective_cache_size = '{max(64, memory // 2)}MB'
maintenance_work_mem = '{max(16, min(memory // 16, 512))}MB'
work_mem = '4MB'
"""


def _sql(statement: str, timeout: float = 60.0) -> str:
    """The answer to statements by the superuser, columns separated by "|"."""
    cluster = cluster_in_use()
    if cluster is None:
        raise AgentError("PostgreSQL is not on this server")
    client = [
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--no-align",
        "--tuples-only",
        "--set=ON_ERROR_STOP=1",
        "--dbname=postgres",
    ]
    where = ["--host=/var/run/postgresql", f"--port={cluster.port}"]
    return ask([*client, *where], f"{statement};\n", users.require("postgres"), timeout)


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256): made here, so that the password is in no statement, and
    thereby in no log."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(client)}:{_base64(server)}"


def _matches(verifier: str, password: str) -> bool:
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$\S+", verifier)
    if found is None:
        return False
    same = _verifier(password, base64.b64decode(found[2]), int(found[1]))
    return hmac.compare_digest(same, verifier)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _mark() -> Path:
    """It was Slipway that installed the server: its settings are ours to choose."""
    return paths.state() / "databases" / "postgresql.installed"
