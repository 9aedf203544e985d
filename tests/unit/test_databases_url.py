"""URLs and variables for drivers, the driver that an app asks for, who connects how often: pure functions."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pulumi_slipway.app.dependencies import choose_driver, missing_driver
from pulumi_slipway.app.pool import pool_advice, worker_count
from pulumi_slipway.app.site import SiteSpec, render_site
from pulumi_slipway.databases.contract import Database, sqlite_database
from pulumi_slipway.databases.moved import silent_change, spelled
from pulumi_slipway.databases.url import DRIVERS, ca_path, check_driver, database_url, database_variables

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CA = "/srv/shop/ca/0123456789abcdef.pem"


def database(engine: str = "postgresql", **changes: Any) -> Database:
    known: dict[str, Any] = {
        "engine": engine,
        "host": "db.example.org",
        "port": 5432,
        "name": "shop",
        "user": "shop",
        "ca_certificate": PEM,
        "connections": 22,
    }
    return {**known, **changes}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("engine", "driver", "url"),
    [
        (
            "postgresql",
            "plain",
            "postgresql://shop:pw@db.example.org:5432/shop?sslmode=verify-full&sslrootcert="
            "%2Fsrv%2Fshop%2Fca%2F0123456789abcdef.pem",
        ),
        (
            "postgresql",
            "psycopg",
            "postgresql+psycopg://shop:pw@db.example.org:5432/shop?sslmode=verify-full&sslrootcert="
            "%2Fsrv%2Fshop%2Fca%2F0123456789abcdef.pem",
        ),
        ("postgresql", "asyncpg", "postgresql+asyncpg://shop:pw@db.example.org:5432/shop?ssl=verify-full"),
        (
            "mysql",
            "pymysql",
            "mysql+pymysql://shop:pw@db.example.org:5432/shop?ssl_ca=%2Fsrv%2Fshop%2Fca%2F0123456789abcdef.pem"
            "&ssl_check_hostname=true",
        ),
        ("mysql", "plain", "mysql://shop:pw@db.example.org:5432/shop?ssl-ca=%2Fsrv%2Fshop%2Fca%2F0123456789abcdef.pem"),
    ],
)
def test_a_url_asks_for_a_verified_server_in_the_words_of_its_driver(engine: str, driver: str, url: str) -> None:
    assert database_url(database(engine), "pw", driver, CA) == url


def test_a_connection_that_does_not_leave_the_machine_asks_for_no_tls() -> None:
    local = database(host="127.0.0.1", ca_certificate="")
    assert database_url(local, "pw", "psycopg2") == "postgresql+psycopg2://shop:pw@127.0.0.1:5432/shop"
    assert (
        database_url({**local, "engine": "mariadb"}, "pw", "pymysql") == "mysql+pymysql://shop:pw@127.0.0.1:5432/shop"
    )
    assert "DATABASE_CA" not in database_variables(local, "pw", "asyncpg", "")
    assert "PGSSLMODE" not in database_variables(local, "pw", "asyncpg", "")


def test_everything_in_a_url_is_quoted() -> None:
    odd = database(host="2001:db8::1", user="sh op", name="sh/op?")
    url = database_url(odd, "p@ss:/%+ ?#", "plain", "/a b")
    assert url == (
        "postgresql://sh%20op:p%40ss%3A%2F%25%2B%20%3F%23@[2001:db8::1]:5432/sh%2Fop%3F"
        "?sslmode=verify-full&sslrootcert=%2Fa%20b"
    )


def test_sqlite_has_neither_host_nor_password() -> None:
    variables = database_variables(sqlite_database("shop"), "", "plain", "")
    assert variables == {
        "DATABASE_URL": "sqlite:////srv/shop/shared/data/shop.db",
        "DATABASE_ENGINE": "sqlite",
        "DATABASE_NAME": "/srv/shop/shared/data/shop.db",
    }


def test_an_app_gets_the_url_and_its_parts() -> None:
    assert database_variables(database(), "pw", "asyncpg", CA) == {
        "DATABASE_URL": "postgresql+asyncpg://shop:pw@db.example.org:5432/shop?ssl=verify-full",
        "DATABASE_ENGINE": "postgresql",
        "DATABASE_HOST": "db.example.org",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "shop",
        "DATABASE_USER": "shop",
        "DATABASE_PASSWORD": "pw",
        "DATABASE_CA": CA,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": CA,
    }


def test_a_ca_has_a_place_of_its_content() -> None:
    assert ca_path("shop", "") == ""
    assert ca_path("shop", PEM).startswith("/srv/shop/ca/")
    assert ca_path("shop", PEM) != ca_path("shop", PEM + PEM)


def test_a_driver_must_be_known_and_speak_to_the_engine() -> None:
    with pytest.raises(ValueError, match="database_driver: 'pg8000' is not known; take one of psycopg, psycopg2"):
        check_driver("pg8000")
    with pytest.raises(ValueError, match="'pymysql' does not speak to postgresql; take one of psycopg, .*plain"):
        check_driver("pymysql", "postgresql")
    with pytest.raises(ValueError, match="'asyncpg' does not speak to mariadb; take one of pymysql, plain"):
        database_url(database("mariadb"), "pw", "asyncpg", CA)
    for driver in DRIVERS:
        check_driver(driver)
        check_driver(driver, "sqlite")


# ------------------------------------------------------------------------------------------- what an app asks for


@pytest.mark.parametrize(
    ("packages", "engine", "driver"),
    [
        ({"sqlalchemy", "psycopg", "psycopg2-binary"}, "postgresql", "psycopg"),
        ({"flask-sqlalchemy", "psycopg2-binary"}, "postgresql", "psycopg2"),
        ({"sqlmodel", "asyncpg"}, "postgresql", "asyncpg"),
        ({"sqlalchemy", "pymysql", "psycopg"}, "mysql", "pymysql"),
        ({"sqlalchemy", "pymysql"}, "mariadb", "pymysql"),
        ({"django", "psycopg"}, "postgresql", "plain"),
        ({"psycopg"}, "postgresql", "plain"),
        ({"sqlalchemy", "mysqlclient"}, "mysql", "plain"),
        ({"sqlalchemy"}, "sqlite", "plain"),
        (set(), "postgresql", "plain"),
    ],
)
def test_the_driver_is_that_of_the_requirements(packages: set[str], engine: str, driver: str) -> None:
    assert choose_driver(engine, frozenset(packages)) == driver


def test_a_missing_driver_is_told_where_requirements_are_known() -> None:
    assert "such as psycopg[binary]" in missing_driver("postgresql", frozenset({"flask", "pymysql-x"}))
    assert "such as pymysql" in missing_driver("mysql", frozenset({"flask"}))
    for packages in ({"psycopg2-binary"}, {"pg8000"}, set()):
        assert missing_driver("postgresql", frozenset(packages)) == ""
    assert missing_driver("sqlite", frozenset({"flask"})) == ""


# ------------------------------------------------------------------------------------------------------- connections


@pytest.mark.parametrize("concurrency", ["", "5", "nonsense", "0"])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize(("cpus", "memory"), [(1, 200), (1, 600), (2, 600), (2, 960), (8, 2000), (4, 32000)])
def test_workers_are_counted_as_gunicorn_s_configuration_does(
    monkeypatch: pytest.MonkeyPatch, cpus: int, memory: int, limit: int | None, concurrency: str
) -> None:
    monkeypatch.setenv("SLIPWAY_SOCKET", "/nonexistent")
    monkeypatch.setenv("WEB_CONCURRENCY", concurrency)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cpus)), raising=False)
    sizes = {"SC_PAGE_SIZE": 1024**2, "SC_PHYS_PAGES": memory}
    monkeypatch.setattr(os, "sysconf", lambda name: sizes[name])
    files = render_site(SiteSpec("shop", ["shop.example"], max_workers=limit))
    text = files["/etc/slipway/apps/shop/gunicorn.conf.py"].content
    found: dict[str, Any] = {"open": _no_file}
    exec(compile(text, "gunicorn.conf.py", "exec"), found)  # noqa: S102 (our own template)
    assert found["workers"] == worker_count(cpus, memory, concurrency, limit)


def _no_file(*_: Any, **__: Any) -> None:
    raise OSError("this machine's own limits are not of interest")


def test_connections_that_fit_need_no_advice() -> None:
    assert pool_advice("shop", 24, workers=3, each=4) == ""
    assert pool_advice("shop", 0, workers=30, each=4) == ""


def test_too_many_connections_are_told_with_numbers_and_remedies() -> None:
    advice = pool_advice("shop", 22, workers=3, each=4)
    assert advice == (
        "shop: its database admits 22 connections, and the app may open 24 while a release takes over (3 workers × 4 "
        "× 2 releases): set WEB_CONCURRENCY to 2 in the app's environment, take a larger database, or put a pooler in "
        "front of it"
    )
    assert "WEB_CONCURRENCY" not in pool_advice("shop", 5, workers=1, each=4)
    assert "24 (6 workers × 4 × 1 releases)" in pool_advice("shop", 22, workers=6, each=4, slots=1)


# ------------------------------------------------------------------------------------------- another one than before

SQLITE = {"engine": "sqlite", "host": "", "name": "/srv/shop/shared/data/shop.db"}
THERE = {"engine": "postgresql", "host": "db.example.org", "name": "shop"}


def test_databases_are_spelled_in_one_word() -> None:
    assert spelled(SQLITE) == "sqlite"
    assert spelled(THERE) == "postgresql:db.example.org/shop"


@pytest.mark.parametrize(
    ("live", "wanted", "moved_from"),
    [
        ({}, THERE, None),
        ({**SQLITE, "empty": True}, THERE, None),
        ({**SQLITE, "empty": False}, SQLITE, None),
        ({**SQLITE, "empty": False}, THERE, "sqlite"),
        ({**THERE, "empty": False}, THERE, None),
        ({**THERE, "empty": False}, THERE, "sqlite"),
        (THERE, {**THERE, "host": "db2.example.org"}, "postgresql:db.example.org/shop"),
    ],
)
def test_what_leaves_no_row_behind_is_no_silent_change(live: Any, wanted: Any, moved_from: str | None) -> None:
    assert silent_change("shop", live, wanted, moved_from) == ""


@pytest.mark.parametrize(
    ("live", "wanted", "moved_from"),
    [
        ({**SQLITE, "empty": False}, THERE, None),
        ({**SQLITE, "empty": False}, THERE, "postgresql:db.example.org/shop"),
        ({**THERE, "empty": False}, SQLITE, None),
        ({**THERE, "empty": False}, {**THERE, "engine": "mysql"}, None),
        ({**THERE, "empty": False}, {**THERE, "host": "db2.example.org"}, "sqlite"),
        ({**THERE, "empty": False}, {**THERE, "name": "other"}, None),
        ({**SQLITE, "empty": False}, {"engine": "own", "host": "", "name": ""}, None),
    ],
)
def test_another_database_is_refused_with_the_steps(live: Any, wanted: Any, moved_from: str | None) -> None:
    message = silent_change("shop", live, wanted, moved_from)
    assert f"its rows are in {spelled(live)}, and {spelled(wanted)} would be begun without them" in message
    for step in (
        "1. dump them",
        "2. load them into",
        f"set database.moved_from (database_moved_from of a WebApp) to {spelled(live)!r}",
    ):
        assert step in message
