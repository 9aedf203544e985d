"""Databases on a machine that somebody has: their rows are dumped into the owner's home when it is given back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.agent.guesthouse import Guesthouse, guesthouse
from tests.agent.server import OWNER, Server

pytestmark = pytest.mark.long

_SUPERUSER = {
    "postgresql": "cd / && setpriv --reuid=postgres --regid=postgres --init-groups psql -AtX",
    "mariadb": "mariadb --batch --skip-column-names",
}
_RESTORE = {
    "postgresql": "createdb back && pg_restore --dbname=back {dump} && psql -AtX -d back -c 'SELECT words FROM entry'",
    "mariadb": "mariadb -e 'CREATE DATABASE back' && mariadb back < {dump} && "
    "mariadb back -BN -e 'SELECT * FROM entry'",
}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesthouse]:
    with guesthouse(tmp_path_factory.mktemp("house"), sudo="free", plain=False) as found:
        yield found


@pytest.mark.parametrize(("engine", "unit"), [("postgresql", "postgresql.service"), ("mariadb", "mariadb.service")])
def test_rows_are_dumped_before_their_database_goes(house: Guesthouse, engine: str, unit: str) -> None:
    before = house.state()
    done = house.adopt()
    assert done.returncode == 0, done.stderr
    document = {
        "engine": engine, "name": "book", "user": "book", "password": "planted-password-of-32-characters",
        "owner": OWNER, "serial": 1,
    }  # fmt: skip
    server = Server(house.box)
    claimed = server.run_agent("database", document, timeout=900)
    assert claimed.returncode == 0, claimed.stderr
    sql = "CREATE TABLE entry (words varchar(40)); INSERT INTO entry VALUES ('a precious row');"
    house.box.root_shell(f"{_SUPERUSER[engine]} {'-d' if engine == 'postgresql' else ''} book", sql, timeout=60)
    assert unit in json.loads(house.shell("cat /var/lib/slipway/adopted.json"))["enabled"]
    server.agent("database-remove", {**document, "keep_data": True})  # as destroy does: the rows stay

    done = house.adopt("give-back")
    assert done.returncode == 0, done.stderr
    dump = house.shell(f"ls /home/admin/slipway-kept/{engine}-book-*").strip()
    assert f"the data of {engine}/book are kept in {dump}" in done.stderr
    assert house.shell(f"stat -c '%U %a' {dump}").split() == ["admin", "600"]
    assert house.shell(f"systemctl is-active {unit}", check=False).strip() == "inactive"
    found = [line for line in house.differences(before) if "slipway-kept" not in line]
    # the users and groups under which the packages run come and stay with the packages
    assert [line for line in found if "postgres" not in line and "mysql" not in line and "ssl-cert" not in line
            and line.split()[2].rpartition("/")[2] not in ("passwd", "shadow", "group", "gshadow")] == []  # fmt: skip

    house.shell(f"systemctl start {unit}; cp {dump} /tmp/dump; chmod 644 /tmp/dump", timeout=120)
    if engine == "postgresql":
        restore = f'cd / && setpriv --reuid=postgres --regid=postgres --init-groups sh -c "{_RESTORE[engine]}"'
    else:
        restore = _RESTORE[engine]
    assert house.shell(restore.format(dump="/tmp/dump"), timeout=120).strip() == "a precious row"


def test_a_server_with_databases_of_somebody_else_is_left_on(house: Guesthouse) -> None:
    house.shell("DEBIAN_FRONTEND=noninteractive apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
                "apt-get -qq install -y --no-install-recommends postgresql >/dev/null", timeout=300)  # fmt: skip
    house.shell(f"{_SUPERUSER['postgresql']} -c 'CREATE DATABASE theirs'")
    assert house.adopt().returncode == 0
    server = Server(house.box)
    document = {
        "engine": "postgresql", "name": "book", "user": "book", "password": "planted-password-of-32-characters",
        "owner": OWNER, "serial": 1,
    }  # fmt: skip
    claimed = server.run_agent("database", document, timeout=900)
    assert claimed.returncode == 0, claimed.stderr
    done = house.adopt("give-back")
    assert done.returncode == 0, done.stderr
    databases = house.shell(f"{_SUPERUSER['postgresql']} -l").replace("|", " ").split()
    assert "theirs" in databases
    assert "book" not in databases
