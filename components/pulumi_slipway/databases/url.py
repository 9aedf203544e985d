"""A database as the variables of an app: `DATABASE_URL` in the form that its driver takes, and `DATABASE_*`.

What crosses a network is verified, the name of the server included (`verify-full`), by the CA file whose path on the
server is given. Pure functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

from .contract import Database

Query = Mapping[str, str]

_POSTGRESQL = ("postgresql",)
_MYSQL = ("mysql", "mariadb")

DRIVERS: Mapping[str, tuple[str, ...]] = {
    "psycopg": _POSTGRESQL,
    "psycopg2": _POSTGRESQL,
    "asyncpg": _POSTGRESQL,
    "pymysql": _MYSQL,
    "plain": (*_POSTGRESQL, *_MYSQL),
}
"""Forms of `DATABASE_URL`, and the engines that each is for. All but "plain" are SQLAlchemy's."""


def check_driver(driver: str, engine: str | None = None) -> None:
    """Raises `ValueError` for a driver that is not known, or not one of `engine` (if that is known)."""
    if driver not in DRIVERS:
        raise ValueError(f"database_driver: {driver!r} is not known; take one of {', '.join(DRIVERS)}, or leave it out")
    if engine in (None, "sqlite") or engine in DRIVERS[driver]:
        return
    fitting = ", ".join(name for name, engines in DRIVERS.items() if engine in engines)
    raise ValueError(f"database_driver: {driver!r} does not speak to {engine}; take one of {fitting}, or leave it out")


def ca_path(app: str, certificate: str) -> str:
    """Where the CA of an app's database lies on the server; empty when there is none."""
    if not certificate:
        return ""
    return f"/srv/{app}/ca/{hashlib.sha256(certificate.encode()).hexdigest()[:16]}.pem"


def database_url(database: Database, password: str, driver: str = "plain", ca_file: str = "") -> str:
    """The URL of `database` for `driver`. Without `ca_file`, it is for connections that do not leave the machine,
    or for programs that are told of the CA otherwise."""
    if database["engine"] == "sqlite":
        return f"sqlite:///{quote(database['name'])}"
    check_driver(driver, database["engine"])
    host = f"[{database['host']}]" if ":" in database["host"] else database["host"]
    who = f"{_quoted(database['user'])}:{_quoted(password)}"
    query = _query(database, driver, ca_file)
    options = "&".join(f"{key}={_quoted(value)}" for key, value in query.items())
    return f"{_scheme(database['engine'], driver)}://{who}@{host}:{database['port']}/{_quoted(database['name'])}" + (
        f"?{options}" if options else ""
    )


def database_variables(database: Database, password: str, driver: str, ca_file: str) -> dict[str, str]:
    """The variables that an app gets for `database`: the URL, and its parts for those that put it together anew."""
    engine = database["engine"]
    variables = {"DATABASE_URL": database_url(database, password, driver, ca_file), "DATABASE_ENGINE": engine}
    if engine == "sqlite":
        return variables | {"DATABASE_NAME": database["name"]}
    variables |= {
        "DATABASE_HOST": database["host"],
        "DATABASE_PORT": str(database["port"]),
        "DATABASE_NAME": database["name"],
        "DATABASE_USER": database["user"],
        "DATABASE_PASSWORD": password,
    }
    if ca_file:
        variables["DATABASE_CA"] = ca_file
        if driver == "asyncpg":  # SQLAlchemy hands it no file: it looks for it here
            variables |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": ca_file}
    return variables


def _scheme(engine: str, driver: str) -> str:
    # "postgresql" and not "postgres", which libpq and Django take as well, but SQLAlchemy refuses
    scheme = "postgresql" if engine in _POSTGRESQL else "mysql"
    return scheme if driver == "plain" else f"{scheme}+{driver}"


def _query(database: Database, driver: str, ca_file: str) -> Query:
    if database["engine"] in _POSTGRESQL:
        if driver == "asyncpg":
            return {"ssl": "verify-full"} if database["ca_certificate"] else {}
        file = {"sslrootcert": ca_file} if ca_file else {}
        return {"sslmode": "verify-full", **file} if database["ca_certificate"] else {}
    if not ca_file:
        return {}
    if driver == "pymysql":
        # SQLAlchemy makes PyMySQL's dict of TLS settings of these two. ssl_verify_identity, PyMySQL's own, would
        # pass by that dict and replace it, the CA included.
        return {"ssl_ca": ca_file, "ssl_check_hostname": "true"}
    return {"ssl-ca": ca_file}


def _quoted(text: str) -> str:
    return quote(text, safe="")
