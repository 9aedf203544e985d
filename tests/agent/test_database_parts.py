"""The parts of the agent's databases that need no server: what is kept of passwords, sizes, SQLite's header."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pulumi_slipway.agent import (
    database,
    database_mariadb,
    database_postgresql,
    database_server,
    database_system,
    files,
    paths,
)
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths
from pulumi_slipway.agent.record import Live, write_live

# RFC 7677's password, salt and number of iterations, as PostgreSQL keeps them
_RFC_7677 = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_postgresql_is_given_a_verifier_and_recognises_the_password_of_one() -> None:
    made = database_postgresql._verifier("pencil", bytes.fromhex("5b6d99689d12358eeca04b141236fa81"), 4096)
    assert made == _RFC_7677
    assert database_postgresql._matches(_RFC_7677, "pencil")
    assert not database_postgresql._matches(_RFC_7677, "pencil2")
    assert not database_postgresql._matches("md5aaaa", "pencil")
    assert not database_postgresql._matches("", "pencil")


def test_mariadb_is_given_a_hash() -> None:
    assert database_mariadb.password_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


@pytest.mark.parametrize(
    ("listing", "version"),
    [
        ("17 main 5432 online postgres /var/lib/postgresql/17/main /var/log/x.log", "17"),
        ("15 main 5432 online postgres /a /b\n17 main 5433 online postgres /c /d", "15"),  # Debian was upgraded
        ("15 main 5433 online postgres /a /b\n17 main 5432 online postgres /c /d", "17"),  # and so was the cluster
        ("15 main 5432 down postgres /a /b\n17 main 5433 online,recovery postgres /c /d", "17"),
        ("", None),
    ],
)
def test_the_server_is_the_one_that_has_the_rows(listing: str, version: str | None) -> None:
    chosen = database_postgresql.choose(listing)
    assert (chosen.version if chosen else None) == version


@pytest.mark.parametrize("memory", [480, 960, 2000, 4000, 16000, 128000])
@pytest.mark.parametrize("cpus", [1, 2, 8, 32])
def test_two_releases_of_gunicorn_s_workers_fit_into_the_connections(memory: int, cpus: int) -> None:
    workers = max(1, min(cpus + 1, memory // 256))
    assert workers * 4 * 2 <= database_system.connections(memory, cpus)


def test_a_server_leaves_most_of_the_memory_to_the_app() -> None:
    for memory in (480, 960, 4000, 128000):
        assert database_system.buffers_mib(memory) <= max(32, memory // 8)
    assert "shared_buffers = '120MB'" in database_postgresql.settings(960)
    assert "innodb_buffer_pool_size = 120M" in database_mariadb.settings(960)


def test_settings_stay_while_memory_is_about_the_same() -> None:
    settings = database_postgresql.settings(1000)
    assert database_system.sized_for(settings, 960) == 1000
    assert database_system.sized_for(settings, 2000) == 2000
    assert database_system.sized_for("", 960) == 960


def test_too_little_memory_is_told_before_anything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = "MemTotal:  500000 kB\nMemAvailable:  204800 kB\nSwapTotal: 102400 kB\nSwapFree:  102400 kB\n"
    assert database_system.available_mib(meminfo) == 300
    monkeypatch.setattr(Path, "read_text", lambda _path: meminfo)
    with pytest.raises(AgentError, match="memory: 300 MiB are free .* needs 400: take a larger machine"):
        database_system.install(["postgresql"])


# -------------------------------------------------------------------------------------------- what is in a database


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppPaths:
    """An app with a live release whose database is its file of SQLite."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    app = AppPaths("shop")
    (app.shared / "data").mkdir(parents=True)
    app.release("r1").mkdir(parents=True)
    found = {"engine": "sqlite", "host": "", "name": "/srv/shop/shared/data/shop.db"}
    files.write_json(app.release("r1") / "release.json", {"database": found})
    write_live(app, Live("blue", "r1", 1, ""))
    return app


def _wanted(engine: str = "postgresql", moved_from: str | None = None) -> database.Wanted:
    return database.Wanted(engine, "db.example", "shop", moved_from, {})


_LIVE = Live("blue", "r1", 1, "")


def _with_table(path: Path, mode: str = "delete") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE entry (words)")
    return connection


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_release_that_would_leave_rows_behind_is_refused(app: AppPaths, mode: str) -> None:
    with closing(_with_table(app.shared / "data/shop.db", mode)):
        with pytest.raises(AgentError) as caught:
            database.refuse_silent_change(app, _LIVE, _wanted())
        assert "are in sqlite, and postgresql:db.example/shop would be begun without" in str(caught.value)
        assert "set database.moved_from to 'sqlite'" in str(caught.value)
        described = database.describe(app, _LIVE)
        assert described is not None
        assert described["empty"] is False
        database.refuse_silent_change(app, _LIVE, _wanted(moved_from="sqlite"))
        database.refuse_silent_change(app, _LIVE, _wanted("sqlite"))
        database.refuse_silent_change(app, None, _wanted())


def test_rows_that_are_only_in_the_log_count(app: AppPaths) -> None:
    with closing(_with_table(app.shared / "data/shop.db", "wal")) as connection:
        assert (app.shared / "data/shop.db-wal").stat().st_size > 0
        assert database._is_empty({"engine": "sqlite", "name": "/srv/shop/shared/data/shop.db"}) is False
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (0,)


def test_nothing_is_lost_with_a_file_without_a_table(app: AppPaths) -> None:
    file = app.shared / "data/shop.db"
    database.refuse_silent_change(app, _LIVE, _wanted())  # no file at all
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    described = database.describe(app, _LIVE)
    assert described is not None
    assert described["empty"] is True
    database.refuse_silent_change(app, _LIVE, _wanted())


def test_a_link_in_the_place_of_the_file_is_not_followed(app: AppPaths, tmp_path: Path) -> None:
    _with_table(tmp_path / "other.db").close()
    (app.shared / "data/shop.db").symlink_to(tmp_path / "other.db")
    described = database.describe(app, _LIVE)
    assert described is not None
    assert described["empty"] is False


def test_another_host_or_name_is_another_database(app: AppPaths) -> None:
    found = {"engine": "postgresql", "host": "db.example", "name": "shop"}
    files.write_json(app.release("r1") / "release.json", {"database": found})
    database.refuse_silent_change(app, _LIVE, _wanted())
    with pytest.raises(AgentError, match="are in postgresql:db.example/shop, and mysql:db.example/shop"):
        database.refuse_silent_change(app, _LIVE, _wanted("mysql"))
    other = database.Wanted("postgresql", "db2.example", "shop", None, {})
    with pytest.raises(AgentError, match="database.moved_from to 'postgresql:db.example/shop'"):
        database.refuse_silent_change(app, _LIVE, other)


def test_a_release_of_an_older_agent_says_nothing_of_its_database(app: AppPaths) -> None:
    files.write_json(app.release("r1") / "release.json", {})
    assert database.describe(app, _LIVE) is None
    database.refuse_silent_change(app, _LIVE, _wanted())


def test_certificates_must_be_at_the_place_of_their_content(app: AppPaths) -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for given, said in (
        ({"/srv/shop/ca/0123456789abcdef.pem": certificate}, "is not the place of this content"),
        ({"/etc/passwd": certificate}, "is not the place of this content"),
        ({"/srv/shop/ca/x.pem": "nonsense"}, "certificates in PEM, and nothing else"),
        ({"/srv/shop/ca/x.pem": certificate + "-----BEGIN PRIVATE KEY-----"}, "certificates in PEM, and nothing else"),
    ):
        with pytest.raises(AgentError, match=said):
            database.Wanted.read(app, {"certificates": given})


def test_names_of_databases_cannot_leave_their_statements() -> None:
    asked = {"engine": "postgresql", "name": "shop", "user": "shop", "owner": "o"}
    assert database_server.Claim.read(asked).spelled == "postgresql/shop"
    for name in ('x"; DROP', "", "x" * 33, "1x", "x-y", "root"):
        with pytest.raises(AgentError, match="cannot be used"):
            database_server.Claim.read({**asked, "name": name})
