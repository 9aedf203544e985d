"""Databases by the distribution's own servers, on a real machine: PostgreSQL and MariaDB."""

from __future__ import annotations

import json
import shlex
import socket
from dataclasses import dataclass
from typing import Any

import pytest

from tests.agent.server import OWNER, AgentFailed, App, Server

pytestmark = pytest.mark.long

PASSWORD = "planted-password-of-32-characters"


@dataclass
class Engine:
    """One engine on the server of the tests, and how its own clients are used."""

    server: Server
    name: str
    unit: str
    port: int

    def document(self, **changes: Any) -> dict[str, Any]:
        known = {
            "engine": self.name,
            "name": "book",
            "user": "book",
            "password": PASSWORD,
            "owner": OWNER,
            "serial": 7,
        }
        return known | changes

    def claim(self, **changes: Any) -> dict[str, Any]:
        answer = self.server.run_agent("database", self.document(**changes), timeout=600)
        if answer.returncode != 0:
            raise AgentFailed(answer.stderr)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def remove(self, keep_data: bool = True, **changes: Any) -> dict[str, Any]:
        return self.server.agent("database-remove", self.document(keep_data=keep_data, **changes))

    def observe(self, name: str = "book") -> dict[str, Any]:
        spelled = f"{self.name}/{name}"
        found: dict[str, Any] = self.server.agent("observe", {"databases": [spelled]})["databases"][spelled]
        return found

    def root(self, statement: str) -> str:
        """What the superuser is answered."""
        client = {
            "postgresql": "setpriv --reuid=postgres --regid=postgres --init-groups psql -AtX -c",
            "mariadb": "mariadb --batch --skip-column-names -e",
        }[self.name]
        return self.server.shell(f"cd / && {client} {shlex.quote(statement)}").strip()

    def app(self, statement: str, password: str = PASSWORD, host: str = "127.0.0.1", user: str = "book") -> str:
        """What the app's user on the server is answered, by loopback and with the password."""
        client = {
            "postgresql": f"PGPASSWORD={password} psql -AtX -h {host} -U {user} -d book -v ON_ERROR_STOP=1 -c",
            "mariadb": f"mariadb --no-defaults --batch --skip-column-names -h {host} -u {user} -p{password} book -e",
        }[self.name]
        command = f"cd / && exec setpriv --reuid=shared --regid=shared --clear-groups env {client}"
        if self.name == "mariadb":
            command = command.replace(" env ", " ")
        return self.server.shell(f"{command} {shlex.quote(statement)} 2>&1").strip()


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest, server: Server, shared_app: App) -> Engine:
    found = {
        "postgresql": Engine(server, "postgresql", "postgresql.service", 5432),
        "mariadb": Engine(server, "mariadb", "mariadb.service", 3306),
    }[request.param]
    if not server.shell("ls /var/lib/slipway/databases 2>/dev/null || true").count(f"{found.name}.installed"):
        found.claim()
    return found


@pytest.fixture
def book(engine: Engine) -> Engine:
    """The engine with the database `book`, and one row in it."""
    engine.claim()
    engine.app("CREATE TABLE IF NOT EXISTS entry (words varchar(40)); DELETE FROM entry")
    engine.app("INSERT INTO entry VALUES ('kept')")
    return engine


def test_a_database_is_there_for_the_app_by_loopback_with_its_password(book: Engine) -> None:
    answer = book.claim()
    assert answer["host"] == "127.0.0.1"
    assert answer["port"] == book.port
    assert answer["connections"] >= 20
    assert book.app("SELECT words FROM entry") == "kept"
    with pytest.raises(AssertionError, match=r"(?i)password authentication failed|access denied"):
        book.app("SELECT 1", password="a-wrong-password")
    assert book.observe() == {"present": True, "serial": 7, "kept": False}


def test_it_cannot_be_reached_from_outside_also_without_a_firewall(book: Engine) -> None:
    book.server.shell("ufw disable")
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((book.server.address, book.port), timeout=5)
    finally:
        book.server.shell("ufw --force enable")
    listening = book.server.shell(f"ss -Hltn 'sport = :{book.port}'").split("\n")
    assert [line.split()[3] for line in listening if line] == [f"127.0.0.1:{book.port}"]


def test_a_second_run_changes_nothing(book: Engine) -> None:
    before = book.server.shell(f"systemctl show --property InvocationID {_unit(book)}")
    assert book.claim()["changed"] is False
    assert book.server.shell(f"systemctl show --property InvocationID {_unit(book)}") == before
    assert book.claim(serial=8)["changed"] is False
    assert book.observe()["serial"] == 8
    assert book.app("SELECT words FROM entry") == "kept"


def test_a_changed_password_takes_effect(book: Engine) -> None:
    other = "another-password-of-32-characters"
    assert book.claim(password=other)["changed"] is True
    assert book.app("SELECT words FROM entry", password=other) == "kept"
    assert book.claim()["changed"] is True
    assert book.app("SELECT words FROM entry") == "kept"


def test_a_database_of_another_owner_is_refused(book: Engine) -> None:
    with pytest.raises(AgentFailed, match="belongs to another stack: give this one another name"):
        book.claim(owner="somebody else")
    with pytest.raises(AgentFailed, match="belongs to another stack"):
        book.remove(owner="somebody else", keep_data=False)
    with pytest.raises(AgentFailed, match="user: 'book' is that of the database 'book'"):
        book.claim(name="second")
    assert book.app("SELECT words FROM entry") == "kept"


def test_a_database_that_somebody_else_made_is_refused_and_left(book: Engine) -> None:
    book.root("CREATE DATABASE foreign_one")
    try:
        with pytest.raises(AgentFailed, match="a database 'foreign_one' that is not Slipway's is in"):
            book.claim(name="foreign_one", user="foreign_one")
        assert book.observe("foreign_one")["present"] is False
    finally:
        book.root("DROP DATABASE foreign_one")


def test_the_app_of_one_database_cannot_enter_another(book: Engine) -> None:
    book.claim(name="boo_", user="boo_")  # in a grant of MariaDB, _ would stand for any character
    try:
        with pytest.raises(AssertionError, match=r"(?i)permission denied|access denied"):
            book.app("SELECT words FROM entry", user="boo_")
    finally:
        book.remove(keep_data=False, name="boo_", user="boo_")


def test_a_given_up_database_is_locked_and_keeps_its_rows_for_a_later_claim(book: Engine) -> None:
    assert book.remove() == {"removed": True}
    with pytest.raises(AssertionError, match=r"(?i)not permitted to log in|locked"):
        book.app("SELECT 1")
    assert book.observe() == {"present": False, "serial": 7, "kept": True}
    assert book.remove() == {"removed": False}
    book.claim(owner="a new stack")
    assert book.app("SELECT words FROM entry") == "kept"
    assert book.remove(owner="a new stack") == {"removed": True}
    book.claim()


def test_a_database_that_was_claimed_anew_is_not_dropped_by_the_claim_of_before(book: Engine) -> None:
    book.claim(turn="first")
    book.claim(turn="second")
    assert book.remove(keep_data=False, turn="first") == {"removed": False}
    assert book.app("SELECT words FROM entry") == "kept"
    book.claim()


def test_a_dropped_database_is_gone_and_another_run_makes_it_anew(book: Engine) -> None:
    assert book.remove(keep_data=False) == {"removed": True}
    assert book.observe() == {"present": False, "serial": 0, "kept": False}
    assert book.remove(keep_data=False) == {"removed": False}
    assert book.claim()["changed"] is True
    with pytest.raises(AssertionError, match=r"(?i)does not exist|doesn't exist"):
        book.app("SELECT words FROM entry")


def test_the_last_one_dropped_takes_the_server_s_settings_along_and_stops_it(book: Engine) -> None:
    folder = "/etc/postgresql" if book.name == "postgresql" else "/etc/mysql"
    find = f"find {folder} -name '90-slipway*'"
    assert folder in book.server.shell(find)
    book.remove(keep_data=False)
    assert book.server.shell(find) == ""
    assert book.server.shell(f"ss -Hltn 'sport = :{book.port}'") == ""
    book.claim()
    assert book.app("SELECT 1") == "1"


WEB = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"it serves"]
"""
EMPTY = {
    "postgresql": "psql -X --host=127.0.0.1 --username=book --dbname=book --command='DELETE FROM entry'",
    "mariadb": "mariadb --no-defaults --host=127.0.0.1 --user=book book --execute='DELETE FROM entry'",
}
"""What a release runs, as an app may do it by mistake."""
RESTORE = {
    "postgresql": "cd / && setpriv --reuid=postgres --regid=postgres --init-groups "
    "pg_restore --clean --dbname=book < {}/database.dump",
    "mariadb": "zcat {}/database.sql.gz | mariadb book",
}


@pytest.mark.parametrize("host", ["127.0.0.1", "database.test"])
def test_a_release_dumps_it_before_its_commands_and_the_dump_brings_the_rows_back(book: Engine, host: str) -> None:
    book.server.shell("grep -q database.test /etc/hosts || echo '127.0.0.1 database.test' >> /etc/hosts")
    app = App(book.server, "dumped")
    app.claim()
    app.site()
    try:
        app.release(
            f"dumped-{book.name}",
            {"web.py": WEB, "requirements.txt": ""},
            commands={"build": [], "release": [EMPTY[book.name]]},
            migration={"inputs": host, "snapshot": True},
            database={"engine": book.name, "host": host, "name": "book"},
            environment={
                "DATABASE_PORT": str(book.port),
                "DATABASE_USER": "book",
                "DATABASE_PASSWORD": PASSWORD,
                "PGPASSWORD": PASSWORD,
                "MYSQL_PWD": PASSWORD,
            },
            health={"path": "/", "status": 200, "host": book.server.address, "timeout": 20},
        )
        assert book.app("SELECT count(*) FROM entry") == "0"
        entry = json.loads(book.server.shell("tail -n 1 /srv/dumped/journal.jsonl"))
        place = f"/srv/dumped/snapshots/{entry['snapshot']}"
        assert set(book.server.shell(f"stat -c '%a %U' {place}/*").splitlines()) == {"600 root"}
        book.server.shell(RESTORE[book.name].format(place))
        assert book.app("SELECT words FROM entry") == "kept"
    finally:
        book.server.agent("remove", {"app": "dumped", "owner": OWNER})


def test_a_database_that_vanished_is_observed_and_made_anew(book: Engine) -> None:
    book.root("DROP DATABASE book" + (" WITH (FORCE)" if book.name == "postgresql" else ""))
    assert book.observe() == {"present": False, "serial": 7, "kept": False}
    assert book.claim(serial=9)["changed"] is True
    assert book.observe() == {"present": True, "serial": 9, "kept": False}


def test_a_database_whose_server_was_uninstalled_is_given_up_without_it(book: Engine) -> None:
    program = "/usr/bin/pg_lsclusters" if book.name == "postgresql" else "/usr/sbin/mariadbd"
    book.server.shell(f"mv {program} {program}.aside")
    try:
        assert book.remove(keep_data=False) == {"removed": True}
    finally:
        book.server.shell(f"mv {program}.aside {program}")
    with pytest.raises(AgentFailed, match="a database 'book' that is not Slipway's"):
        book.claim()
    book.root("DROP DATABASE book")
    for user in ("book",) if book.name == "postgresql" else ("book@localhost", "book@127.0.0.1"):
        book.root(f"DROP USER {user}")
    assert book.claim()["changed"] is True


def test_a_server_that_was_stopped_is_started(book: Engine) -> None:
    book.server.shell(f"systemctl stop {_unit(book)}")
    assert book.observe()["present"] is False
    assert book.claim()["changed"] is True
    assert book.app("SELECT words FROM entry") == "kept"


def test_the_settings_of_a_server_that_somebody_else_installed_are_left_alone(book: Engine) -> None:
    folder = "/etc/postgresql" if book.name == "postgresql" else "/etc/mysql"
    mark = f"/var/lib/slipway/databases/{book.name}.installed"
    book.server.shell(f"mv {mark} /tmp/mark; find {folder} -name '90-slipway*' -delete")
    try:
        book.claim()
        assert book.server.shell(f"find {folder} -name '90-slipway*'") == ""
        assert book.app("SELECT words FROM entry") == "kept"
    finally:
        book.server.shell(f"mv /tmp/mark {mark}")
    assert book.claim()["changed"] is True


def test_no_password_is_told_or_kept(book: Engine) -> None:
    secret = "another-planted-password-of-the-tests"
    done = book.server.run_agent("database", book.document(password=secret))
    assert secret not in done.stdout + done.stderr
    found = book.server.shell(f"grep -rl {secret} /etc /var/log /var/lib/slipway /run /srv 2>/dev/null || true")
    assert found == ""
    book.claim()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "oracle"}, "engine: 'oracle' is none of"),
        ({"name": "Book"}, "name: 'Book' cannot be used"),
        ({"name": "postgres"}, "name: 'postgres' cannot be used"),
        ({"user": "x'; DROP"}, "user: .* cannot be used"),
        ({"password": "short"}, "password: use 16 to 128"),
        ({"password": "with a space in it, too long"}, "password: use 16 to 128"),
    ],
)
def test_what_cannot_be_a_database_is_refused(server: Server, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentFailed, match=said):
        server.agent("database", Engine(server, "postgresql", "", 0).document(**changes))


def _unit(engine: Engine) -> str:
    if engine.name == "mariadb":
        return "mariadb.service"
    return engine.server.shell("systemctl list-units --plain --no-legend --all 'postgresql@*' | cut -d' ' -f1").strip()
