"""Managed databases are servers of their own, reached over TLS by whom they admit and by nobody else."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .cloud_probes import account_in, reaches, shell, traces
from .clouds import certificates, databases, engines, machines
from .clouds.account import Account
from .clouds.databases import Database
from .clouds.machines import Machine

pytestmark = pytest.mark.long

PASSWORD = """a'b"c\\d`e$f%g ü:h;i{j}|k~l@/m#"""
ENGINES = ("postgresql", "mysql")


@dataclass(frozen=True)
class Client:
    """A machine with the clients of both engines."""

    account: Account
    machine: Machine

    def sql(
        self, database: Database, text: str, *, user: str = "boss", password: str = PASSWORD, name: str = "app",
        mode: str = "verify-full", ca: str = "/root/ca.pem", address: str = "",
    ) -> str:  # fmt: skip
        """What the engine answers, its refusals included. `mode`: verify-full or disable."""
        address = address or database.address
        secret = f"PGPASSWORD={shlex.quote(password)} MYSQL_PWD={shlex.quote(password)} "
        if database.engine == "postgresql":
            command = (
                f"PGHOST={address} PGPORT={database.port} PGUSER={shlex.quote(user)} PGDATABASE={shlex.quote(name)} "
                f"PGSSLMODE={mode} PGSSLROOTCERT={ca} PGCONNECT_TIMEOUT=3 psql --no-psqlrc -At -c {shlex.quote(text)}"
            )
        else:
            tls = "--skip-ssl" if mode == "disable" else f"--ssl-ca={ca} --ssl-verify-server-cert"
            command = (
                f"mariadb --no-defaults --connect-timeout=3 {tls} --batch --skip-column-names "
                f"-h {address} -P {database.port} -u {shlex.quote(user)} -e {shlex.quote(text)} {shlex.quote(name)}"
            )
        return shell(self.account, self.machine, f"{secret}{command} 2>&1 || true").strip()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account_in(tmp_path_factory.mktemp("cloud") / "account") as account:
        yield account


def _machine(account: Account) -> Client:
    client = Client(account, machines.create(account, cloud="ec2", packages=engines.packages()))
    shell(account, client.machine, "cat > /root/ca.pem", databases.ca_certificate(account))
    return client


@pytest.fixture(scope="module")
def client(account: Account) -> Client:
    """Whom the databases admit."""
    return _machine(account)


@pytest.fixture(scope="module")
def stranger(account: Account) -> Client:
    """Whom they do not."""
    return _machine(account)


@pytest.fixture(scope="module", params=ENGINES)
def server(account: Account, client: Client, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A server of each engine."""
    begun = time.monotonic()
    made = databases.create(
        account, engine=request.param, master_user="boss", master_password=PASSWORD, databases=["app"],
        max_connections=25, force_tls=True, public=True, sources=[f"{client.machine.address}/32"],
    )  # fmt: skip
    assert time.monotonic() - begun < 60
    yield made
    databases.remove(account, made.name)


def test_the_admitted_machine_comes_in_over_verified_tls(client: Client, server: Database) -> None:
    version = client.sql(server, "SELECT version()")
    assert ("PostgreSQL" if server.engine == "postgresql" else "MariaDB") in version
    assert client.sql(server, "SELECT version()", address=server.public_address) == version
    assert "25" in client.sql(server, "SHOW max_connections" if "Post" in version else "SELECT @@max_connections")


def test_another_machine_is_not_admitted_until_it_is(account: Account, stranger: Client, server: Database) -> None:
    for address in (server.address, server.public_address):
        assert not reaches(account, stranger.machine, address, server.port)
    admitted = [f"{stranger.machine.address}/32"]
    databases.admit(account, server.name, admitted)
    assert stranger.sql(server, "SELECT 1") == "1"
    assert not reaches(account, stranger.machine, server.address, 22)
    databases.admit(account, server.name, [])
    assert not reaches(account, stranger.machine, server.address, server.port)


@pytest.fixture(autouse=True)
def _admitted(account: Account, client: Client, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        server: Database = request.getfixturevalue("server")
        databases.admit(account, server.name, [f"{client.machine.address}/32"])


def test_a_wrong_authority_or_password_is_noticed(
    account: Account, client: Client, server: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = certificates.authority(Account.at(tmp_path_factory.mktemp("foreign")))
    shell(account, client.machine, "cat > /root/foreign.pem", foreign)
    refused = client.sql(server, "SELECT 1", ca="/root/foreign.pem")
    assert "certificate verify failed" in refused or "self-signed certificate" in refused or "TLS/SSL error" in refused
    assert client.sql(server, "SELECT 1", password="wrong") != "1"


def test_unencrypted_connections_are_refused_as_long_as_tls_is_forced(
    account: Account, client: Client, server: Database
) -> None:
    refused = client.sql(server, "SELECT 1", mode="disable")
    assert "no encryption" in refused or "insecure transport are prohibited" in refused
    databases.configure(account, server.name, force_tls=False, max_connections=31)
    assert client.sql(server, "SELECT 1", mode="disable") == "1"
    count = "SHOW max_connections" if server.engine == "postgresql" else "SELECT @@max_connections"
    assert client.sql(server, count) == "31"
    found = databases.get(account, server.name)
    assert found is not None
    assert (found.force_tls, found.max_connections) == (False, 31)
    databases.configure(account, server.name, force_tls=True)
    assert client.sql(server, "SELECT 1", mode="disable") == refused


def test_the_master_rules_data_and_users_and_not_the_server(client: Client, server: Database) -> None:
    assert "ERROR" not in client.sql(server, "CREATE TABLE of_master (i int)")
    assert "ERROR" not in client.sql(server, "CREATE DATABASE by_master")
    assert "ERROR" not in client.sql(server, "DROP DATABASE by_master")
    beyond = "COPY (SELECT 1) TO '/tmp/x'" if server.engine == "postgresql" else "SELECT 1 INTO OUTFILE '/tmp/x'"
    assert "ERROR" in client.sql(server, beyond)


def test_a_user_has_what_it_was_granted(account: Account, client: Client, server: Database) -> None:
    databases.create_user(account, server.name, "o'user", PASSWORD)
    databases.create_user(account, server.name, "worker", "first", grants=["app"])
    databases.create_user(account, server.name, "worker", 'se"cond', grants=["app"])
    refused = client.sql(server, "CREATE TABLE t (i int)", user="o'user")
    assert "permission denied" in refused or "Access denied" in refused
    worker = {"user": "worker", "password": 'se"cond'}
    assert "ERROR" not in client.sql(server, "CREATE TABLE of_worker (i int)", **worker)
    databases.drop_user(account, server.name, "worker")
    databases.drop_user(account, server.name, "worker")
    assert client.sql(server, "SELECT 1", **worker) != "1"
    assert "ERROR" not in client.sql(server, "SELECT * FROM of_worker")


def test_databases_of_any_name_come_and_go(account: Account, client: Client, server: Database) -> None:
    for _ in range(2):
        databases.create_database(account, server.name, "my `own\" d'b")
    assert client.sql(server, "SELECT 1", name="my `own\" d'b") == "1"
    for _ in range(2):
        databases.drop_database(account, server.name, "my `own\" d'b")
    assert client.sql(server, "SELECT 1", name="my `own\" d'b") != "1"


def test_the_masters_password_can_be_changed(account: Account, client: Client, server: Database) -> None:
    databases.set_password(account, server.name, "boss", "other")
    assert client.sql(server, "SELECT 1") != "1"
    assert client.sql(server, "SELECT 1", password="other") == "1"
    databases.set_password(account, server.name, "boss", PASSWORD)
    assert client.sql(server, "SELECT 1") == "1"


def test_no_password_is_kept_or_shown(account: Account, server: Database) -> None:
    kept = json.dumps(account.read(), ensure_ascii=False)
    assert "boss" in kept
    assert json.dumps(PASSWORD, ensure_ascii=False)[1:-1] not in kept
    log = shell(
        account,
        Machine(server.name, "", "", running=True),
        "journalctl --no-pager; cat /var/log/postgresql/* 2>/dev/null || true",
    )
    assert PASSWORD.encode().hex() not in log
    assert PASSWORD not in log


def test_a_removed_server_leaves_neither_machine_nor_address(account: Account) -> None:
    made = databases.create(account, engine="mysql", master_user="m", master_password="p", public=True)
    assert made.port == 3306
    databases.remove(account, made.name)
    databases.remove(account, made.name)
    assert databases.get(account, made.name) is None
    assert made.public_address not in account.read()["addresses"]
    assert not [line for line in traces(account) if made.name in line]


def test_an_unknown_engine_is_refused_before_anything_is_made(account: Account) -> None:
    before = account.read()["machines"]
    with pytest.raises(ValueError, match="engine 'oracle' is none of postgresql, mysql"):
        databases.create(account, engine="oracle", master_user="m", master_password="p")
    assert account.read()["machines"] == before
