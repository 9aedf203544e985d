"""MariaDB of the distribution on this machine: reached by loopback and socket only, one user for each database."""

# Names in statements were checked by a pattern that leaves nothing to quote.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from . import database_system, paths
from .database_system import ask, memory_mib
from .errors import AgentError
from .progress import hide, say
from .run import tool

_SETTINGS = "/etc/mysql/mariadb.conf.d/90-slipway.cnf"
_UNIT = "mariadb.service"
_RESTART_WITHIN = 120.0
# the same account twice: where names are not looked up, 127.0.0.1 is not localhost
_HOSTS = ("localhost", "127.0.0.1")


class MariaDb:
    """The engine `mariadb`, see `database_server.Engine`."""

    def installed(self) -> bool:
        return paths.rooted("/usr/sbin/mariadbd").exists()

    def ensure_server(self) -> bool:
        changed = False
        if not self.installed():
            database_system.install(["mariadb-server"])
            _mark().parent.mkdir(mode=0o700, exist_ok=True)
            _mark().touch(0o600)
            changed = True
        if _mark().exists():
            changed = _size() or changed
        if not _is_active():
            say("starting MariaDB")
            tool(["systemctl", "enable", "--quiet", "--now", _UNIT], _RESTART_WITHIN)
            changed = True
        return changed

    def ensure(self, name: str, user: str, password: str) -> bool:
        changed = False
        stored = password_hash(password)
        hide([stored])
        for host in _HOSTS:
            if _account(user, host) != (stored, False):
                account = f"'{user}'@'{host}' IDENTIFIED VIA mysql_native_password USING '{stored}'"
                _sql(f"CREATE USER IF NOT EXISTS {account}", f"ALTER USER {account} ACCOUNT UNLOCK")
                changed = True
        if not self._has(name):
            _sql(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
            changed = True
        for host in _HOSTS:  # here, _ stands for any character, but for a backslash before it
            escaped = name.replace("_", "\\_")
            _sql(f"GRANT ALL PRIVILEGES ON `{escaped}`.* TO '{user}'@'{host}'")
        return changed

    def exists(self, name: str, user: str) -> str:
        if self._has(name):
            return "database"
        return "user" if any(_account(user, host) is not None for host in _HOSTS) else ""

    def present(self, name: str) -> bool:
        with contextlib.suppress(AgentError):
            return self._has(name, timeout=5)
        return False

    def lock(self, user: str) -> None:
        for host in _HOSTS:
            if _account(user, host) is not None:
                _sql(f"ALTER USER '{user}'@'{host}' ACCOUNT LOCK")
        with contextlib.suppress(AgentError):  # it has no connection
            _sql(f"KILL USER '{user}'")

    def drop(self, name: str, user: str) -> None:
        self.lock(user)
        _sql(f"DROP DATABASE IF EXISTS `{name}`", *(f"DROP USER IF EXISTS '{user}'@'{host}'" for host in _HOSTS))

    def withdraw(self) -> None:
        if not _mark().exists():
            return
        paths.rooted(_SETTINGS).unlink(missing_ok=True)
        ours = "'mysql', 'information_schema', 'performance_schema', 'sys'"
        if _sql(f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ({ours})").strip():
            tool(["systemctl", "restart", _UNIT], _RESTART_WITHIN)
            return
        say("stopping MariaDB, which nobody uses any more")
        tool(["systemctl", "disable", "--quiet", "--now", _UNIT], _RESTART_WITHIN)

    def describe(self) -> dict[str, Any]:
        port, admitted, version = _sql("SELECT @@port, @@max_connections, @@version").split("\t")
        return {"port": int(port), "connections": int(admitted), "version": version.split("-")[0].strip()}

    def _has(self, name: str, timeout: float = 60.0) -> bool:
        found = _sql(f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{name}'", timeout=timeout)
        return bool(found.strip())


def password_hash(password: str) -> str:
    """What MariaDB keeps of a password: made here, so that the password is in no statement, and thereby in no log."""
    first = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(first, usedforsecurity=False).hexdigest().upper()


def settings(memory: int) -> str:
    """The settings for a machine of so many MiB, where an app lives, too."""
    cpus = len(os.sched_getaffinity(0))
    return f"""\
# Written by Slipway (sized for {memory} MiB); what is edited here is put right by the next `pulumi up`.
[mariadbd]
bind-address = 127.0.0.1
character-set-server = utf8mb4
performance_schema = OFF
max_connections = {database_system.connections(memory, cpus)}
innodb_buffer_pool_size = {database_system.buffers_mib(memory)}M
"""


def _size() -> bool:
    """Have the server's settings as this machine needs them; whether that changed them, and restarted it."""
    place = paths.rooted(_SETTINGS)
    before = place.read_text() if place.is_file() else ""
    if not database_system.put(place, settings(database_system.sized_for(before, memory_mib()))):
        return False
    say("MariaDB takes up its settings")
    tool(["systemctl", "restart", _UNIT], _RESTART_WITHIN)
    return True


def _account(user: str, host: str) -> tuple[str, bool] | None:
    """What is kept of its password, and whether it is locked; None: there is no such account."""
    found = _sql(
        "SELECT JSON_VALUE(Priv, '$.authentication_string'), IFNULL(JSON_VALUE(Priv, '$.account_locked'), 0)"
        f" FROM mysql.global_priv WHERE User = '{user}' AND Host = '{host}'"
    ).strip("\n")
    if not found:
        return None
    stored, locked = found.split("\t")
    return stored, locked not in ("0", "false")


def _sql(*statements: str, timeout: float = 60.0) -> str:
    """The answer to statements by root, columns separated by tabs."""
    client = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--protocol=socket"]
    # by the socket, where a certificate of the server, if it has one, names nobody
    socket = ["--socket=/run/mysqld/mysqld.sock", "--default-character-set=utf8mb4", "--skip-ssl"]
    return ask([*client, *socket], "".join(f"{statement};\n" for statement in statements), timeout=timeout)


def _is_active() -> bool:
    try:
        tool(["systemctl", "is-active", "--quiet", _UNIT])
    except AgentError:
        return False
    return True


def _mark() -> Path:
    """It was Slipway that installed the server: its settings are ours to choose."""
    return paths.state() / "databases" / "mariadb.installed"
