"""An app and its database: what the server is told, what is refused and what is advised before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_slipway import WebApp
from pulumi_slipway.app.snapshot import cannot_dump
from pulumi_slipway.databases.contract import Database
from pulumi_slipway.databases.url import ca_path
from tests.unit.mocks import HOST, Engine, Recorder, observation

Run = Callable[..., Recorder]
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
DATABASE = Database(
    engine="postgresql",
    host="db.example.org",
    port=5432,
    name="book",
    user="book",
    ca_certificate=PEM,
    connections=22,
)
SQLITE = {"engine": "sqlite", "host": "", "name": "/srv/guestbook/shared/data/guestbook.db"}


@pytest.fixture
def folder(app_folder: Path) -> Path:
    (app_folder / "requirements.txt").write_text("flask\nflask-sqlalchemy\npsycopg[binary]\npymysql\n")
    return app_folder


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told as a warning."""
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_: told.append(message))
    return told


def app(folder: Path, **changes: Any) -> WebApp:
    args: dict[str, Any] = {
        "host": pulumi.Output.from_input(HOST),
        "private_key": "deploy-private",
        "path": str(folder),
        "database": DATABASE,
        "database_password": pulumi.Output.secret("planted-password"),
    }
    kept = {key: value for key, value in {**args, **changes}.items() if value is not None}
    return WebApp("app", kept)  # type: ignore[arg-type]


def document(recorder: Recorder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recorder.input("app-1-release", "stdin"))["document"]
    return found


def live(**database: Any) -> dict[str, Any]:
    """A server on which a release with this database is live."""
    return observation(release="r-live", release_serial=3, database={**SQLITE, "empty": False, **database})


def test_an_app_gets_the_variables_of_its_database_and_its_server_the_ca(run: Run, folder: Path) -> None:
    recorder = run(lambda: app(folder))
    told = document(recorder)
    path = ca_path("guestbook", PEM)
    assert told["environment"]["DATABASE_URL"].startswith("postgresql+psycopg://book:planted-password@db.example.org")
    assert told["environment"]["DATABASE_CA"] == path
    assert told["certificates"] == {path: PEM}
    assert told["database"] == {"engine": "postgresql", "host": "db.example.org", "name": "book", "moved_from": None}


def test_a_password_of_a_database_is_secret_everywhere(run: Run, folder: Path) -> None:
    recorder = run(lambda: app(folder))
    for name in recorder.names:
        for key in recorder[name].object:
            if "planted-password" in str(recorder[name].object[key]):
                assert recorder.is_secret(name, key), (name, key)


def test_without_a_database_it_is_sqlite(run: Run, folder: Path) -> None:
    told = document(run(lambda: app(folder, database=None, database_password=None)))
    assert told["environment"]["DATABASE_URL"] == "sqlite:////srv/guestbook/shared/data/guestbook.db"
    assert (told["database"], told["certificates"]) == ({**SQLITE, "moved_from": None}, {})


def test_a_url_of_the_app_s_own_is_no_sqlite(run: Run, folder: Path) -> None:
    own = {"DATABASE_URL": "postgresql://elsewhere/x"}
    told = document(run(lambda: app(folder, database=None, database_password=None, environment=own)))
    assert told["database"]["engine"] == "own"
    assert {key: value for key, value in told["environment"].items() if key.startswith("DATABASE")} == own


def test_a_url_of_one_s_own_wins_over_that_of_the_database(run: Run, folder: Path) -> None:
    told = document(run(lambda: app(folder, environment={"DATABASE_URL": "mine://x"})))
    assert told["environment"]["DATABASE_URL"] == "mine://x"
    assert told["environment"]["DATABASE_HOST"] == "db.example.org"
    assert told["database"]["engine"] == "postgresql"


def test_the_driver_can_be_chosen(run: Run, folder: Path) -> None:
    told = document(run(lambda: app(folder, database_driver="asyncpg")))
    assert told["environment"]["DATABASE_URL"].startswith("postgresql+asyncpg://")
    assert told["environment"]["PGSSLROOTCERT"] == ca_path("guestbook", PEM)


def test_another_ca_is_another_release(run: Run, folder: Path) -> None:
    first = document(run(lambda: app(folder)))["release"]
    second = document(run(lambda: app(folder, database={**DATABASE, "ca_certificate": PEM + PEM})))["release"]
    assert first != second


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"database_password": None}, "database_password: missing; set it to database.password"),
        ({"database": None}, "database_password: there is no database that it is for"),
        ({"database_driver": "pymysql"}, "database_driver: 'pymysql' does not speak to postgresql"),
        ({"database_driver": "odbc"}, "database_driver: 'odbc' is not known"),
        ({"database": {**DATABASE, "engine": "oracle"}}, "database.engine: 'oracle' is not known"),
    ],
)
def test_what_does_not_go_together_is_told_before_any_resource_is_made(
    run: Run, folder: Path, changes: Any, message: str
) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match=message):
            app(folder, **changes)

    assert not [name for name in run(program).names if name.startswith("app")]


def test_a_driver_that_does_not_fit_is_told_in_a_preview_of_a_database_to_be_made(run: Run, folder: Path) -> None:
    with pytest.raises(Exception, match="database_driver: 'pymysql' does not speak to postgresql"):
        run(lambda: app(folder, database=to_be_made(), database_driver="pymysql"), preview=True)


def to_be_made() -> pulumi.Output[Any]:
    """A database of which a preview knows the engine only."""
    return pulumi.Output.from_input({**DATABASE, "host": pulumi.Output.from_input(pulumi.UNKNOWN)})


@pytest.mark.parametrize("preview", [True, False])
def test_rows_are_not_left_behind_in_silence(run: Run, folder: Path, engine: Engine, preview: bool) -> None:
    engine.observation = live()
    with pytest.raises(Exception, match="its rows are in sqlite, and postgresql:db.example.org/book would be begun"):
        run(lambda: app(folder), preview=preview)


def test_nor_for_a_database_that_is_yet_to_be_made(run: Run, folder: Path, engine: Engine) -> None:
    engine.observation = live()
    with pytest.raises(Exception, match="its rows are in sqlite, and postgresql would be begun without them"):
        run(lambda: app(folder, database=to_be_made()), preview=True)


def test_in_an_up_the_release_is_not_run_then(run: Run, folder: Path, engine: Engine) -> None:
    engine.observation = live()
    recorders: list[Recorder] = []
    with pytest.raises(Exception, match="its rows are in sqlite"):
        recorders.append(run(lambda: app(folder)))
    assert recorders == []


@pytest.mark.parametrize(
    ("database", "changes"),
    [
        ({"empty": True}, {}),
        ({}, {"database_moved_from": "sqlite"}),
        ({"engine": "postgresql", "host": "db.example.org", "name": "book"}, {}),
    ],
)
def test_a_change_that_leaves_nothing_behind_is_released(
    run: Run, folder: Path, engine: Engine, database: dict[str, Any], changes: dict[str, Any]
) -> None:
    engine.observation = live(**database)
    told = document(run(lambda: app(folder, **changes)))
    assert told["database"]["moved_from"] == changes.get("database_moved_from")


def test_a_first_release_has_nothing_to_leave_behind(run: Run, folder: Path, engine: Engine) -> None:
    engine.observation = observation()
    assert "app-1-release" in run(lambda: app(folder)).names


def test_too_many_connections_are_a_warning_in_a_preview(
    run: Run, folder: Path, engine: Engine, warnings: list[str]
) -> None:
    engine.observation = observation(facts={"cpus": 2, "memory_mb": 960})
    run(lambda: app(folder, database=to_be_made()), preview=True)
    (warning,) = warnings
    assert "admits 22 connections, and the app may open 24" in warning


def test_a_number_of_workers_that_was_chosen_is_what_counts(
    run: Run, folder: Path, engine: Engine, warnings: list[str]
) -> None:
    engine.observation = observation(facts={"cpus": 2, "memory_mb": 960})
    run(lambda: app(folder, environment={"WEB_CONCURRENCY": "2"}), preview=True)
    assert warnings == []


def test_a_driver_that_no_requirement_names_is_a_warning(
    run: Run, folder: Path, engine: Engine, warnings: list[str]
) -> None:
    (folder / "requirements.txt").write_text("flask\n")
    run(lambda: app(folder), preview=True)
    assert warnings == [
        "guestbook: none of its requirements is a driver for postgresql: add one, such as psycopg[binary]"
    ]


@pytest.mark.parametrize(
    ("database", "tools", "packages", "told"),
    [
        ({"engine": "sqlite", "host": ""}, [], [], ""),
        ({"engine": "postgresql", "host": "127.0.0.1"}, [], [], ""),
        (
            {"engine": "postgresql", "host": "db.example"},
            ["mysqldump"],
            [],
            "pg_dump, which dumps",
        ),
        ({"engine": "postgresql", "host": "db.example"}, ["pg_dump"], [], ""),
        ({"engine": "postgresql", "host": "db.example"}, [], ["postgresql-client-17", "x"], ""),
        (
            {"engine": "mysql", "host": "db.example"},
            [],
            ["postgresql-client"],
            "add 'mariadb-client'",
        ),
        ({"engine": "mysql", "host": "db.example"}, [], ["mariadb-client"], ""),
        ({"engine": "mysql", "host": "db.example"}, ["mysqldump"], [], ""),
        ({"engine": "mysql", "host": "db.example"}, None, [], ""),
        ({"engine": "own", "host": ""}, ["pg_dump"], [], "the app's own DATABASE_URL"),
    ],
)
def test_a_dump_that_the_server_cannot_make_is_told_beforehand(
    database: dict[str, str], tools: list[str] | None, packages: list[str], told: str
) -> None:
    found = cannot_dump(database, {"dump_tools": tools}, packages)
    assert told in found
    assert bool(found) is bool(told)


def test_a_preview_refuses_a_dump_that_the_server_cannot_make(run: Run, engine: Engine, folder: Path) -> None:
    engine.observation = observation(facts={"dump_tools": []}, database={})
    with pytest.raises(pulumi.RunError, match="snapshot_before_migrate: pg_dump"):
        run(lambda: app(folder, snapshot_before_migrate=True), preview=True)
    run(lambda: app(folder, snapshot_before_migrate=True, system_packages=["postgresql-client"]))


def test_the_server_is_told_what_is_to_be_done_once(run: Run, folder: Path) -> None:
    changes = {
        "persistent": ["uploads"],
        "setup": ["flask init-db"],
        "setup_answer": "done 0123abcd",
        "snapshot_before_migrate": True,
        "media_url": "/uploads/",
        "media_folder": "uploads",
        "build": ["npm run build"],
        "build_files": {"npm run build": {"inputs": ["assets/"], "outputs": ["static/dist/"]}},
        "release": ["flask db upgrade"],
        "migration": {"force": True},
    }
    found = document(run(lambda: app(folder, **changes)))
    assert (found["persistent"], found["media"]) == (["uploads"], {"folder": "uploads"})
    assert (found["setup"], found["setup_answer"]) == (["flask init-db"], "done 0123abcd")
    assert (found["migration"]["force"], found["migration"]["snapshot"]) == (True, True)
    step = {"run": "npm run build", "inputs": ["assets/"], "outputs": ["static/dist/"]}
    assert found["commands"] == {"build": [step], "release": ["flask db upgrade"]}
