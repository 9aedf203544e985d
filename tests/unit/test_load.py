"""The load generator must see every way in which a server lets a client down."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.background import start_load
from bench.load import run_load
from bench.result import LoadResult, Sample
from bench.targets import RefusedTargetError, parse_target
from tests.unit.webserver import PAGE, Behaviour, Request, Server, well

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "bench.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def load(server: Server, total: int = 40, rate: float = 200, **options: object) -> LoadResult:
    return run_load(server.url, rate, total / rate, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("keepalive", [False, True])
def test_every_request_is_sent_and_answered_over_tls(tls: ssl.SSLContext, certificate: Path, keepalive: bool) -> None:
    with Server(well, tls) as server:
        result = load(server, 100, 200, keepalive=keepalive, ca=certificate)
        assert (result.total, result.failed) == (100, 0)
        assert result.markers["old"].count == 100
        assert (server.connections == 100) is not keepalive
        assert 0 < result.latency(50) <= result.latency(99) < 1


def test_requests_name_the_host_of_the_url_and_go_to_the_resolved_address() -> None:
    with Server(well) as server:
        url = f"http://book.example:{server.port}/a?b=c"
        assert run_load(url, 100, 0.05, resolve="127.0.0.1").failed == 0
        assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert f"Host: book.example:{server.port}\r\n".encode() in server.heads[0]


def test_a_certificate_that_is_not_trusted_or_for_another_host_is_a_failure(
    tls: ssl.SSLContext, certificate: Path
) -> None:
    with Server(well, tls) as server:
        assert load(server, 4).failures == {"tls": 4}
        other = run_load(f"https://book.example:{server.port}/", 200, 0.02, ca=certificate, resolve="127.0.0.1")
        assert other.failures == {"tls": 4}


def test_each_kind_of_failure_is_counted_by_its_name() -> None:
    async def badly(request: Request) -> None:
        match request.number % 10:
            case 0:
                await request.answer(b"<h1>502 Bad Gateway</h1>", "502 Bad Gateway")
            case 1:
                request.reset()
            case 2:
                request.close()
            case 3:
                await request.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of")
                request.close()
            case 4:
                await request.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
                request.close()
            case 5:
                await request.raw(b"SSH-2.0-OpenSSH\r\n")
            case 6:
                await asyncio.sleep(10)
            case 7:
                await request.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nand then silence")
                await asyncio.sleep(10)
            case _:
                await request.answer()

    for keepalive in (False, True):
        with Server(badly) as server:
            result = load(server, 100, timeout=2, keepalive=keepalive)
        expected = {"status-502": 10, "reset": 10, "closed": 30, "malformed": 10, "timeout": 20}
        assert result.failures == expected
        assert result.failed == 80
        assert {sample.failure for sample in result.first_failures} == set(expected)
        assert "status-502: 10" in result.text()


def test_a_refused_connection_is_a_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = run_load(f"http://127.0.0.1:{unused.getsockname()[1]}/", 100, 0.1)
    assert result.failures == {"connect": 10}


def test_a_listener_that_never_accepts_is_a_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        begin = time.monotonic()
        result = run_load(f"http://127.0.0.1:{silent.getsockname()[1]}/", 100, 0.2, timeout=0.5)
    assert result.failures == {"timeout": 20}
    assert time.monotonic() - begin < 3


def test_a_server_that_stops_in_the_middle_fails_the_rest() -> None:
    middle = threading.Event()

    async def until_the_middle(request: Request) -> None:
        if request.number < 60:
            await request.answer()
        else:
            middle.set()
            await asyncio.sleep(60)

    with Server(until_the_middle) as server:
        stopping = threading.Thread(target=lambda: middle.wait(60) and server.stop())
        stopping.start()
        result = load(server, 160, timeout=30)
        stopping.join()
    assert result.failed == 100
    assert set(result.failures) <= {"connect", "reset", "closed"}


def test_an_error_page_with_the_right_marker_is_still_a_failure() -> None:
    async def error(request: Request) -> None:
        await request.answer(status="500 Internal Server Error")

    with Server(error) as server:
        result = load(server, 4)
    assert result.failures == {"status-500": 4}
    assert result.markers == {}


def test_an_idle_connection_that_the_server_closed_is_not_used_again() -> None:
    async def once(request: Request) -> None:
        await request.answer()
        request.close()  # without having said so

    with Server(once) as server:
        result = load(server, 20, 40, keepalive=True)
        assert result.failed == 0
        assert server.connections == 20


def test_a_connection_closed_under_a_request_is_a_failure() -> None:
    async def second_time(request: Request) -> None:
        if request.number % 2:
            request.close()
        else:
            await request.answer()

    with Server(second_time) as server:
        assert load(server, 20, 50, keepalive=True).failures == {"closed": 10}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12;x=y\r\n"
        + PAGE[:18]
        + b"\r\n12\r\n"
        + PAGE[18:]
        + b"\r\n0\r\nTrailer: yes\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n" + PAGE,
    ],
    ids=["chunked", "early hints"],
)
def test_other_forms_of_an_answer_are_read_to_their_end(answer: bytes) -> None:
    async def form(request: Request) -> None:
        await request.raw(answer)

    with Server(form) as server:
        result = load(server, 20, 50, keepalive=True)
        assert result.failures == {}
        assert result.markers["old"].count == 20
        assert server.connections < 10


def test_an_answer_without_length_ends_with_its_connection() -> None:
    async def form(request: Request) -> None:
        await request.raw(b"HTTP/1.0 200 OK\r\n\r\n" + PAGE)
        request.close()

    with Server(form) as server:
        result = load(server, 20, keepalive=True)
        assert result.failures == {}
        assert result.markers["old"].count == 20


def test_requests_leave_by_the_clock_and_a_stall_is_counted_for_all_who_came_in_it() -> None:
    with Server(well) as server:
        timer = threading.Timer(0.3, server.freeze, [0.5])
        timer.start()
        result = load(server, 200)
        timer.join()
    assert (result.total, result.failed) == (200, 0)
    assert sum(sample.latency > 0.1 for sample in result.samples) >= 60
    assert result.latency(99) > 0.4
    assert result.latency(50) < 0.4


def test_the_moment_of_the_switch_is_seen() -> None:
    versions = itertools.chain([b"old"] * 100, itertools.repeat(b"new"))

    async def changing(request: Request) -> None:
        await request.answer(PAGE.replace(b"old", next(versions)))

    with Server(changing) as server:
        result = load(server, 200, keepalive=True)
    switch = result.switch("old", "new")
    assert switch is not None
    assert {marker: seen.count for marker, seen in result.markers.items()} == {"old": 100, "new": 100}
    assert 0.3 < switch.last_old <= switch.first_new < 0.8
    assert switch.returned == 0


def test_answers_of_the_old_version_after_the_switch_are_counted() -> None:
    times = [("old", 0.0), ("new", 1.0), ("old", 2.0), ("new", 3.0)]
    samples = [Sample(due, due, due + 0.01, 200, marker) for marker, due in times]
    result = LoadResult("http://127.0.0.1/", 1, 4, False, 0.0, samples)
    switch = result.switch("old", "new")
    assert switch is not None
    assert (switch.last_old, switch.first_new, switch.returned) == (2.01, 1.01, 1)
    assert result.switch("old", "newer") is None


def test_percentiles_are_by_nearest_rank() -> None:
    samples = [Sample(0, 0, number / 100, 200) for number in range(1, 101)]
    result = LoadResult("http://127.0.0.1/", 1, 4, False, 0.0, samples)
    assert [result.latency(percent) for percent in (50, 99, 100)] == [0.50, 0.99, 1.0]
    assert LoadResult.from_json(result.to_json()) == result


def test_failed_requests_do_not_improve_the_latency() -> None:
    samples = [Sample(0, 0, 0.001, None, None, "reset", ""), Sample(0, 0, 0.5, 200)]
    assert LoadResult("http://127.0.0.1/", 1, 4, False, 0.0, samples).latency(50) == 0.5


@pytest.mark.parametrize(
    ("url", "resolve", "message"),
    [
        ("https://example.com/", None, "is a name"),
        ("https://localhost/", None, "is a name"),
        ("https://example.com/", "93.184.216.34", "not a private address"),
        ("https://10.0.0.1/", "8.8.8.8", "not a private address"),
        ("http://169.254.169.254/", None, "not a private address"),
        ("http://0.0.0.0/", None, "not a private address"),
        ("http://[2001:db8::1]/", None, "not a private address"),
        ("ftp://127.0.0.1/", None, "expected http"),
        ("127.0.0.1", None, "expected http"),
        ("http://user:word@127.0.0.1/", None, "not supported"),
    ],
)
def test_a_target_that_is_no_local_machine_is_refused(url: str, resolve: str | None, message: str) -> None:
    with pytest.raises(RefusedTargetError, match=message) as caught:
        parse_target(url, resolve)
    assert "word" not in str(caught.value)


def test_a_private_address_behind_a_gateway_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.targets._gateway", lambda _: "192.168.1.1")
    with pytest.raises(RefusedTargetError, match=r"behind the gateway 192\.168\.1\.1"):
        parse_target("https://10.9.8.7/")


def test_load_in_the_background_tells_the_same() -> None:
    with Server(well) as server, start_load(server.url, 100, 0.5, keepalive=True) as running:
        result = running.wait()
    assert (result.total, result.failed) == (50, 0)
    assert result.markers["old"].count == 50
    assert abs(result.started_at - time.time()) < 30


def test_load_in_the_background_says_why_it_gave_up() -> None:
    with (
        pytest.raises(RuntimeError, match="there is no such file"),
        start_load("https://127.0.0.1:1/", ca=Path("/nowhere/ca.pem")) as running,
    ):
        running.wait()


def test_load_in_the_background_can_be_finished_early() -> None:
    with Server(well) as server, start_load(server.url, 100, 60) as running:
        time.sleep(0.3)
        found = running.finish()
    assert 0 < found.total < 1000
    assert found.failed == 0


def test_load_in_the_background_ends_with_its_block() -> None:
    with Server(well) as server, start_load(server.url, 100, 60) as running:
        process = running._process
    assert process.poll() is not None


@pytest.mark.parametrize(("behaviour", "expected"), [(well, 0), (None, 1)], ids=["served", "refused"])
def test_the_command_says_by_its_status_whether_all_were_served(behaviour: Behaviour | None, expected: int) -> None:
    def run(url: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench.load", url, "--rate=50", "--seconds=0.2"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    if behaviour is None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            done = run(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    else:
        with Server(behaviour) as server:
            done = run(server.url)
    assert done.returncode == expected
    assert "10 requests (new connections)" in done.stdout
