"""What `DATABASE_URL` says is what drivers do: on a real server, against PostgreSQL and MariaDB with TLS.

Each driver connects with the right authority, and does not with another one, or where the certificate names another
host; Django's way of reading the plain URL, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pulumi_slipway.databases.contract import Database
from pulumi_slipway.databases.url import DRIVERS, ca_path, database_variables
from tests.agent.server import OWNER, Server

pytestmark = pytest.mark.long

PASSWORD = "p4ssword-with-%-and-;-in-it"
ENGINES = {"postgresql": 5432, "mariadb": 3306}
CASES = [(engine, driver) for driver, engines in DRIVERS.items() for engine in ENGINES if engine in engines]

# Run in an environment with all drivers: connects by DATABASE_URL as apps do, and says whether the line is encrypted.
_CONNECT = """
import asyncio, os, sys
url, engine = os.environ["DATABASE_URL"], os.environ["DATABASE_ENGINE"]
asked = {
    "postgresql": "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mariadb": "SELECT VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
}[engine]
def by_sqlalchemy():
    import sqlalchemy
    with sqlalchemy.create_engine(url).connect() as connection:
        return connection.execute(sqlalchemy.text(asked)).scalar()
async def by_asyncpg():
    import sqlalchemy
    from sqlalchemy.ext.asyncio import create_async_engine
    async with create_async_engine(url).connect() as connection:
        return (await connection.execute(sqlalchemy.text(asked))).scalar()
def by_libpq():
    import psycopg
    return psycopg.connect(url).execute(asked).fetchone()[0]
def by_django_s_settings():
    import dj_database_url, pymysql
    found = dj_database_url.parse(url)
    connection = pymysql.connect(host=found["HOST"], port=found["PORT"], user=found["USER"],
                                 password=found["PASSWORD"], database=found["NAME"], **found.get("OPTIONS", {}))
    with connection.cursor() as cursor:
        cursor.execute(asked)
        return cursor.fetchone()[0]
if "asyncpg" in url:
    print(asyncio.run(by_asyncpg()))
elif url.startswith("postgresql:"):
    print(by_libpq())
elif url.startswith("mysql:"):
    print(by_django_s_settings())
else:
    print(by_sqlalchemy())
"""


@dataclass
class Authority:
    """A certificate authority, and a server's certificate by it."""

    pem: str
    certificate: str
    key: str


@pytest.fixture(scope="module")
def authority(server: Server) -> Authority:
    return _authority("Databases of the tests", server.address)


@pytest.fixture(scope="module")
def prepared(server: Server, authority: Authority) -> Iterator[Server]:
    """The server with both engines, reached by TLS on its address too, and with all drivers in one environment."""
    for engine in ENGINES:
        done = server.run_agent("database", _document(engine), timeout=600)
        assert done.returncode == 0, done.stderr
    _use_tls(server, authority)
    server.shell(
        "set -a; if [ -r /etc/slipway/environment ]; then . /etc/slipway/environment; fi; "
        "/opt/slipway/uv/bin/uv venv -q /opt/drivers && "
        "/opt/slipway/uv/bin/uv pip install -q --python /opt/drivers/bin/python sqlalchemy greenlet "
        "'psycopg[binary]' psycopg2-binary pymysql asyncpg dj-database-url",
        timeout=240,
    )
    yield server
    server.shell(
        "rm -rf /opt/drivers /srv/tester; find /etc/postgresql /etc/mysql -name '95-test*' -delete;"
        " systemctl restart mariadb 'postgresql@*'"
    )
    for engine in ENGINES:
        server.agent("database-remove", {**_document(engine), "keep_data": False})


def _use_tls(server: Server, authority: Authority) -> None:
    """In the manner of a managed database: on its own address, TLS only."""
    for owner, folder in (("postgres", "/etc/postgresql"), ("mysql", "/etc/mysql")):
        for name, text in (("test.crt", authority.certificate), ("test.key", authority.key)):
            server.machine.root_shell(
                f"cat > {folder}/{name}; chown {owner}: {folder}/{name}; chmod 600 {folder}/{name}", text
            )
    server.machine.root_shell(
        "cd /etc/postgresql/*/main; cat > conf.d/95-test.conf; echo 'hostssl all all all scram-sha-256' >> pg_hba.conf;"
        " systemctl restart 'postgresql@*'",
        "listen_addresses = '*'\nssl = on\n"
        "ssl_cert_file = '/etc/postgresql/test.crt'\nssl_key_file = '/etc/postgresql/test.key'\n",
    )
    server.machine.root_shell(
        'cat > /etc/mysql/mariadb.conf.d/95-test.cnf; systemctl restart mariadb; mariadb --skip-ssl -e "'
        "CREATE OR REPLACE USER 'tester'@'%' REQUIRE SSL; "
        f"SET PASSWORD FOR 'tester'@'%' = PASSWORD('{PASSWORD}'); GRANT ALL ON tester.* TO 'tester'@'%'\"",
        "[mariadbd]\nbind-address = *\nssl_cert = /etc/mysql/test.crt\nssl_key = /etc/mysql/test.key\n",
    )


def _connect(server: Server, engine: str, driver: str, host: str, certificate: str) -> tuple[int, str]:
    """The exit status of a program that connects with the variables of an app, and what it said."""
    path = ca_path("tester", certificate)
    if path:
        server.machine.root_shell(f"mkdir -p /srv/tester/ca && cat > {path}", certificate)
    database = Database(
        engine=engine,
        host=host,
        port=ENGINES[engine],
        name="tester",
        user="tester",
        ca_certificate=certificate,
        connections=0,
    )
    variables = database_variables(database, PASSWORD, driver, path)
    starter = (
        "import json, os, sys; e, code = json.load(sys.stdin); "
        "os.execve('/opt/drivers/bin/python', ['/opt/drivers/bin/python', '-c', code], e)"
    )
    done = server.machine.root_run(["/usr/bin/python3", "-c", starter], json.dumps([variables, _CONNECT]))
    return done.returncode, done.stdout.strip() or done.stderr.strip()[-600:]


@pytest.mark.parametrize(("engine", "driver"), CASES)
def test_a_driver_connects_by_tls_with_the_authority_of_the_database(
    prepared: Server, authority: Authority, engine: str, driver: str
) -> None:
    status, said = _connect(prepared, engine, driver, prepared.address, authority.pem)
    assert status == 0, said
    assert said in ("true", "1", "True")


@pytest.mark.parametrize(("engine", "driver"), CASES)
def test_a_driver_refuses_a_server_of_another_authority(prepared: Server, engine: str, driver: str) -> None:
    status, said = _connect(prepared, engine, driver, prepared.address, _authority("Another", prepared.address).pem)
    assert status != 0
    assert "certificate verify failed" in said.lower().replace("_", " ")


@pytest.mark.parametrize(("engine", "driver"), CASES)
def test_a_driver_refuses_a_server_whose_certificate_names_another_host(
    prepared: Server, authority: Authority, engine: str, driver: str
) -> None:
    status, said = _connect(prepared, engine, driver, "127.0.0.2", authority.pem)
    assert status != 0
    assert "127.0.0.2" in said


@pytest.mark.parametrize(("engine", "driver"), CASES)
def test_a_driver_connects_on_the_machine_itself_without_more(prepared: Server, engine: str, driver: str) -> None:
    status, said = _connect(prepared, engine, driver, "127.0.0.1", "")
    assert status == 0, said


def _document(engine: str) -> dict[str, Any]:
    return {"engine": engine, "name": "tester", "user": "tester", "password": PASSWORD, "owner": OWNER, "serial": 1}


def _authority(name: str, address: str) -> Authority:
    """A new authority and a certificate for `address`, as strict as Python 3.13 wants them."""
    signing, serving = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(signing.public_key())

    def builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        begun = x509.CertificateBuilder(own, subject, key, x509.random_serial_number())
        return begun.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=2))

    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    root = (
        builder(own, signing.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(usage, critical=True)
        .sign(signing, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)]), serving.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(signing, hashes.SHA256())
    )
    private = serving.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return Authority(root.public_bytes(pem).decode(), leaf.public_bytes(pem).decode(), private.decode())
