"""The migrations, and the health of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_migrate import check, downgrade, upgrade

from conftest import Visitor
from guestbook.extensions import db


def columns(app: Flask) -> set[str]:
    with app.app_context():
        inspector = sa.inspect(db.engine)
        if not inspector.has_table("entry"):
            return set()
        return {column["name"] for column in inspector.get_columns("entry")}


def test_the_migrations_go_up_and_down_step_by_step(bare_app: Flask) -> None:
    with bare_app.app_context():
        assert columns(bare_app) == set()
        upgrade(revision="0001")
        assert columns(bare_app) == {"id", "name", "message", "created"}
        upgrade()
        assert columns(bare_app) == {"id", "name", "message", "created", "place"}
        downgrade()
        assert columns(bare_app) == {"id", "name", "message", "created"}
        downgrade(revision="base")
        assert columns(bare_app) == set()


def test_the_migrations_end_at_the_models(app: Flask) -> None:
    with app.app_context():
        check()


def test_entries_survive_the_second_migration_and_the_release_before_it_can_go_on_writing(
    bare_app: Flask, database: Path
) -> None:
    insert = "INSERT INTO entry (name, message, created) VALUES (?, ?, '2026-01-02 03:04:05.000000')"
    with bare_app.app_context():
        upgrade(revision="0001")
        with closing(sqlite3.connect(database)) as old_release, old_release:
            old_release.execute(insert, ("Ada", "before"))
        upgrade()
        with closing(sqlite3.connect(database)) as old_release, old_release:
            old_release.execute(insert, ("Bob", "after"))
    page = Visitor(bare_app).get().text
    assert "before" in page
    assert "after" in page


def test_sqlite_readers_are_not_blocked_by_a_writer(visitor: Visitor, database: Path) -> None:
    visitor.sign()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE entry SET name = 'Eve'")
        assert "Ada" in visitor.get().text
        other.execute("ROLLBACK")


def test_health_is_good_with_a_migrated_database(visitor: Visitor) -> None:
    answer = visitor.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "database": "ok", "release": "r-7e57"}
    assert "Set-Cookie" not in answer.headers


def test_health_is_bad_before_the_migrations(bare_app: Flask) -> None:
    assert Visitor(bare_app).get("/healthz").status_code == 503


def test_health_is_bad_when_a_migration_is_missing(bare_app: Flask) -> None:
    with bare_app.app_context():
        upgrade(revision="0001")
    assert Visitor(bare_app).get("/healthz").status_code == 503


def test_health_is_bad_when_the_database_is_gone_from_under_a_running_application(
    visitor: Visitor, database: Path
) -> None:
    visitor.sign()
    for file in database.parent.glob("guestbook.db*"):
        file.unlink()
    answer = visitor.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["status"] == "error"
    assert str(database) not in answer.text


def test_health_is_good_again_when_the_database_is_back(visitor: Visitor, database: Path) -> None:
    away = database.with_name("away")
    database.rename(away)
    assert visitor.get("/healthz").status_code == 503
    away.replace(database)
    assert visitor.get("/healthz").status_code == 200
