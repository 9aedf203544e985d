"""What the server shows to the outside, and what it trusts."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from pulumi_slipway.bootstrap import HostKeyPair, Machine, render_user_data
from tests.e2e.checkout import PROJECT, Checkout
from tests.machines import machine


def open_ports(address: str) -> list[int]:
    """Every TCP port that answers; a machine that drops packets is asked many at a time."""
    found = []
    for begin in range(1, 65536, 512):
        sockets = {}
        for port in range(begin, min(begin + 512, 65536)):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((address, port))
            sockets[one] = port
        deadline = time.monotonic() + 0.15
        pending = dict(sockets)
        while pending and (left := deadline - time.monotonic()) > 0:
            poll = select.poll()
            for one in pending:
                poll.register(one, select.POLLOUT)
            numbers = {one.fileno(): one for one in pending}
            for number, _ in poll.poll(left * 1000):
                one = numbers[number]
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.append(sockets[one])
                del pending[one]
        for one in sockets:
            one.close()
    return found


def ssh(site: Checkout, user: str, *options: str, known: Path) -> subprocess.CompletedProcess[str]:
    command = ["ssh", "-F", "/dev/null", "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes",
               "-o", "ConnectTimeout=10", *options, f"{user}@{site.machine.address}", "true"]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture(autouse=True)
def forgiven(launched: Checkout) -> Iterator[None]:
    """sshd (9.8 and newer) refuses for a while whoever failed to log in or only looked, as these tests do."""
    yield
    launched.machine.root_shell("systemctl reset-failed ssh; systemctl restart ssh")


@pytest.fixture
def known(site: Checkout, tmp_path: Path) -> Path:
    """known_hosts with the permanent host key of the stack."""
    path = tmp_path / "known_hosts"
    path.write_text(f"{site.machine.address} {site.outputs()['host']['host_key']}\n")
    return path


def test_only_ssh_and_the_web_answer_from_outside(site: Checkout) -> None:
    assert open_ports(site.machine.address) == [22, 80, 443]


@pytest.mark.parametrize("user", ["root", "deploy", "guestbook"])
def test_passwords_are_not_even_asked_for(site: Checkout, known: Path, user: str) -> None:
    options = ["-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "PubkeyAuthentication=no"]
    done = ssh(site, user, *options, known=known)
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_root_is_refused_even_with_the_deploy_key(site: Checkout, known: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    resources = json.loads(site.pulumi("stack", "export", "--show-secrets", "--stack", "dev").stdout)
    inputs = [one for one in resources["deployment"]["resources"] if one["urn"].endswith("::server-keys-deploy")]
    private = inputs[0]["outputs"]["privateKeyOpenssh"]
    key.write_text(json.loads(private["plaintext"]) if isinstance(private, dict) else private)
    key.chmod(0o600)
    options = ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    assert ssh(site, "deploy", *options, known=known).returncode == 0
    assert "Permission denied" in ssh(site, "root", *options, known=known).stderr


def test_only_the_permanent_host_key_is_offered(site: Checkout) -> None:
    scan = ["ssh-keyscan", "-T", "10", site.machine.address]
    offered = subprocess.run(scan, capture_output=True, text=True, timeout=60, check=False).stdout
    keys = {" ".join(line.split()[1:3]) for line in offered.splitlines() if not line.startswith("#")}
    assert keys == {" ".join(site.outputs()["host"]["host_key"].split()[:2])}


def test_ssh_audit_finds_no_failure(site: Checkout) -> None:
    program = Path(sys.executable).with_name("ssh-audit")
    done = subprocess.run(
        [program, "--json", site.machine.address], capture_output=True, text=True, timeout=60, check=False
    )
    audit = json.loads(done.stdout)
    failures = [
        (kind, entry["algorithm"], entry["notes"]["fail"])
        for kind in ("kex", "key", "enc", "mac")
        for entry in audit[kind]
        if entry["notes"].get("fail")
    ]
    assert failures == []


def test_http_leads_to_https(site: Checkout) -> None:
    with socket.create_connection((site.machine.address, 80), timeout=10) as connection:
        connection.sendall(f"GET /x?y=1 HTTP/1.1\r\nHost: {site.machine.address}\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 301")
    assert f"Location: https://{site.machine.address}/x?y=1" in answer


def test_an_unknown_host_name_is_not_answered(site: Checkout) -> None:
    with socket.create_connection((site.machine.address, 80), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: elsewhere.example.org\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").read() == b""
    context = ssl.create_default_context(cafile=str(site.certificate))
    context.check_hostname = False
    with socket.create_connection((site.machine.address, 443), timeout=10) as connection:
        try:
            with context.wrap_socket(connection) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: elsewhere.example.org\r\nConnection: close\r\n\r\n")
                assert tls.makefile("rb").read() == b""
        except ssl.SSLError as error:
            assert "UNRECOGNIZED_NAME" in str(error).upper()  # noqa: PT017 - either refusal will do


def test_headers_of_a_client_do_not_reach_the_app(site: Checkout) -> None:
    context = ssl.create_default_context(cafile=str(site.certificate))
    address = site.machine.address
    with (
        socket.create_connection((address, 443), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=address) as tls,
    ):
        lines = [
            "GET /language/de HTTP/1.1",
            f"Host: {address}",
            "X-Forwarded-Host: evil.example.org",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Ssl: off",
            "Connection: close",
        ]
        tls.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = tls.makefile("rb").read().decode()
    assert answer.split()[1] in ("200", "302", "303", "404"), answer[:300]
    assert "evil.example.org" not in answer


def test_cloud_init_finds_no_fault_with_the_user_data(site: Checkout) -> None:
    site.machine.root_shell("cloud-init schema --system")
    assert "recoverable_errors: {}" in site.machine.root_shell("cloud-init status --long")


def test_a_wrong_boot_key_stops_the_ready_step_at_once_and_nothing_is_sent() -> None:
    boot, other, host, deploy = new_keys("ecdsa", "ecdsa", "ed25519", "ed25519")
    user_data = render_user_data(Machine("impostor", HostKeyPair(*boot), [deploy[1]]))
    with machine(user_data) as box:
        request = {
            "id": box.id, "name": box.name, "address": box.address, "private_address": box.address, "port": 22,
            "user": "deploy", "private_key": deploy[0], "boot_public": other[1], "host_private": host[0],
            "host_public": host[1], "timeout": 120,
        }  # fmt: skip
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pulumi_slipway.ready"], input=json.dumps(request), capture_output=True, text=True,
            timeout=100, check=False, env=os.environ | {"PYTHONPATH": str(PROJECT / "components")},
        )  # fmt: skip
        assert done.returncode == 1
        assert "is trusted. Nothing was sent to it" in done.stderr
        assert host[0].splitlines()[1] not in done.stdout + done.stderr
        assert time.monotonic() - begin < 30
        assert "Accepted publickey" not in box.root_shell("journalctl -u ssh --no-pager")


def new_keys(*kinds: str) -> list[tuple[str, str]]:
    """(private, public) of each kind, in OpenSSH form."""
    found = []
    for kind in kinds:
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        found.append((private.decode(), public.decode()))
    return found


def test_a_wrong_permanent_host_key_stops_everything_before_a_secret_is_sent(site: Checkout) -> None:
    server = site.machine
    server.root_shell(
        "cp -p /etc/ssh/ssh_host_ed25519_key /root/kept && cp -p /etc/ssh/ssh_host_ed25519_key.pub /root/kept.pub"
    )
    try:
        server.root_shell(
            "rm /etc/ssh/ssh_host_ed25519_key && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
            " && systemctl restart ssh"
        )
        site.mark("never")
        printed = site.failing_up()
        assert "is trusted. Nothing was sent to it" in printed
        assert 'data-marker="never"' not in site.visitor().get("/").text
    finally:
        server.root_shell(
            "cd /etc/ssh && mv /root/kept ssh_host_ed25519_key; mv /root/kept.pub ssh_host_ed25519_key.pub;"
            " systemctl restart ssh"
        )
