"""The database of an app as its releases are told of it, on a real server: SQLite's file, CA files, the change to
another one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.agent.server import AgentFailed, App, source

FILE = "/srv/shared/shared/data/shared.db"
SQLITE = {"engine": "sqlite", "host": "", "name": FILE, "moved_from": None}
POSTGRESQL = {"engine": "postgresql", "host": "db.example", "name": "book", "moved_from": None}


@pytest.fixture(autouse=True)
def no_database(app: App) -> None:
    """The live release has no database, and there is no file of one."""
    app.server.shell(f"rm -f {FILE}*")


def _python(app: App, code: str) -> str:
    """What Python prints that the app's user runs."""
    user = "setpriv --reuid=shared --regid=shared --clear-groups"
    return app.server.shell(f'cd / && {user} python3 -c "{code}"').strip()


def _mode(app: App) -> str:
    return _python(app, f"import sqlite3; print(*sqlite3.connect('{FILE}').execute('PRAGMA journal_mode').fetchone())")


def _make(app: App) -> None:
    """A file with a table, in the mode that SQLite has by itself."""
    _python(app, f"import sqlite3; sqlite3.connect('{FILE}').execute('CREATE TABLE entry (words)')")
    assert _mode(app) == "delete"


def test_the_file_of_sqlite_is_in_wal_mode_before_the_release_commands_run(app: App, fresh_id: str) -> None:
    look = f"head -c 20 {FILE} | tail -c 2 | od -An -tx1 > $HOME/data/seen; stat -c %U {FILE} >> $HOME/data/seen"
    app.release(fresh_id, source("new"), database=SQLITE, commands={"build": [], "release": [look]})
    assert app.server.shell("cat /srv/shared/shared/data/seen; rm /srv/shared/shared/data/seen").split() == [
        *("02", "02"),
        "shared",
    ]
    assert _mode(app) == "wal"


def test_a_file_that_is_there_is_converted_and_keeps_its_rows(app: App, fresh_id: str) -> None:
    _make(app)
    app.release(fresh_id, source("new"), database=SQLITE)
    assert _mode(app) == "wal"
    assert _python(app, f"import sqlite3; print(*sqlite3.connect('{FILE}').execute('PRAGMA table_list'))").count(
        "entry"
    )


def test_a_file_that_is_in_use_is_left_as_it_is_and_the_release_goes_on(app: App, fresh_id: str) -> None:
    _make(app)
    hold = (
        f"import sqlite3, time; c = sqlite3.connect('{FILE}', isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); open('/srv/shared/shared/data/held', 'w'); time.sleep(60)"
    )
    user = "--uid=shared --gid=shared"
    app.server.shell(f'systemd-run --quiet --collect --unit=test-holder {user} python3 -c "{hold}"')
    app.server.shell("until test -e /srv/shared/shared/data/held; do sleep 0.05; done; rm /srv/shared/shared/data/held")
    try:
        request = app.release_request(fresh_id, source("new"), database=SQLITE)
        done = app.server.run_agent("release", request)
    finally:
        app.server.shell("systemctl stop test-holder", check=False)
    assert done.returncode == 0, done.stderr
    assert "stays in the mode that it is in: sqlite3.OperationalError: database is locked" in done.stderr
    assert _mode(app) == "delete"


def test_a_file_that_is_no_database_does_not_fail_a_release(app: App, fresh_id: str) -> None:
    app.server.shell(f"echo nonsense > {FILE} && chown shared: {FILE}")
    app.release(fresh_id, source("new"), database=SQLITE)
    assert app.server.shell(f"cat {FILE}") == "nonsense\n"


def test_ca_files_are_there_for_the_release_commands_and_go_with_the_last_release_that_names_them(
    app: App, fresh_id: str
) -> None:
    first, second = (_certificate(text) for text in ("first", "second"))
    look = f"cat {first[0]} > $HOME/data/seen; stat -c %U-%a {first[0]} >> $HOME/data/seen"
    app.release(
        f"{fresh_id}-1",
        source("new"),
        database=POSTGRESQL,
        certificates=dict([first]),
        commands={"build": [], "release": [look]},
        keep=2,
    )
    seen = app.server.shell("cat /srv/shared/shared/data/seen; rm /srv/shared/shared/data/seen")
    assert seen == f"{first[1]}root-644\n"
    app.release(f"{fresh_id}-2", source("newer"), database=POSTGRESQL, certificates=dict([second]), keep=2)
    assert app.server.shell("ls /srv/shared/ca").split() == sorted(
        path.rpartition("/")[2] for path, _ in (first, second)
    )
    app.server.agent("rollback", {"app": app.name, "owner": "owner-of-the-tests"})
    assert app.server.shell(f"cat {first[0]}") == first[1]
    for number in (3, 4):
        app.release(f"{fresh_id}-{number}", source(f"newest {number}"), database=POSTGRESQL, keep=2)
    assert app.server.shell("ls /srv/shared/ca") == ""


def test_a_ca_file_at_another_place_is_refused(app: App, fresh_id: str) -> None:
    with pytest.raises(AgentFailed, match="is not the place of this content"):
        app.release(fresh_id, source("new"), certificates={"/etc/ssl/certs/ours.pem": _certificate("x")[1]})
    app.server.shell("test ! -e /etc/ssl/certs/ours.pem")


def test_another_database_is_refused_until_its_rows_are_said_to_be_moved(app: App, fresh_id: str) -> None:
    app.release(f"{fresh_id}-1", source("new"), database=SQLITE)
    observed = app.observe()["database"]
    assert observed == {"engine": "sqlite", "host": "", "name": FILE, "empty": True}
    _python(app, f"import sqlite3; sqlite3.connect('{FILE}').execute('CREATE TABLE entry (words)')")
    assert app.observe()["database"]["empty"] is False
    before = app.observe()
    with app.server.visited() as visits, pytest.raises(AgentFailed, match="database.moved_from to 'sqlite'"):
        app.release(f"{fresh_id}-2", source("newer"), database=POSTGRESQL)
    assert (visits.failures, visits.texts()) == ([], ["new"])
    assert app.observe() == before
    moved = {**POSTGRESQL, "moved_from": "sqlite"}
    app.release(f"{fresh_id}-2", source("newer"), database=moved)
    assert app.observe()["database"] == {"engine": "postgresql", "host": "db.example", "name": "book", "empty": False}
    app.release(f"{fresh_id}-3", source("newest"), database=moved)  # the setting may stay
    with pytest.raises(AgentFailed, match="set database.moved_from to 'postgresql:db.example/book'"):
        app.release(f"{fresh_id}-4", source("new"), database={**POSTGRESQL, "host": "db2.example"})
    app.server.agent("rollback", {"app": app.name, "owner": "owner-of-the-tests", "release": f"{fresh_id}-1"})
    assert app.observe()["database"]["engine"] == "sqlite"


def test_the_record_of_a_release_holds_no_secret_of_its_database(app: App, fresh_id: str) -> None:
    url = "postgresql://book:planted-password@db.example/book"
    app.release(fresh_id, source("new"), database=POSTGRESQL, environment={"DATABASE_URL": url})
    record: dict[str, Any] = json.loads(app.server.shell(f"cat /srv/shared/releases/{fresh_id}/release.json"))
    assert record["database"] == {"engine": "postgresql", "host": "db.example", "name": "book"}
    assert "planted" not in json.dumps(record)


def _certificate(text: str) -> tuple[str, str]:
    """A path and its content; the agent does not look into it."""
    pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    return f"/srv/shared/ca/{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem", pem
