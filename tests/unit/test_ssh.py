"""Connections are pinned and bounded; and so is the wait for a server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pulumi_slipway import ready
from pulumi_slipway.ssh import LOST_AFTER, RefusedKeyError, SshError, WrongHostKeyError, connect
from tests.unit.sshserver import SshServer, new_key

HOST_PRIVATE, HOST_PUBLIC = new_key()
DEPLOY_PRIVATE, DEPLOY_PUBLIC = new_key()
OTHER_PRIVATE, OTHER_PUBLIC = new_key()


def echo(command: str, stdin: bytes) -> tuple[int, str, str]:
    return 3, f"{command}:{stdin.decode()}", "first\nsecond"


@pytest.fixture
def server() -> Iterator[SshServer]:
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], echo) as server:
        yield server


def test_a_command_gets_its_stdin_and_gives_its_status_and_both_streams(server: SshServer) -> None:
    lines: list[str] = []
    with connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC]) as connection:
        result = connection.run("agent", stdin="document", progress=lines.append)
    assert (result.status, result.stdout, result.stderr) == (3, "agent:document", "first\nsecond")
    assert lines == ["first", "second"]


def test_one_of_several_pinned_keys_is_enough_and_is_named(server: SshServer) -> None:
    keys = [OTHER_PUBLIC, HOST_PUBLIC]
    with connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, keys) as connection:
        assert connection.host_key == HOST_PUBLIC


def test_a_wrong_host_key_ends_it_before_anything_is_sent(server: SshServer) -> None:
    with (
        pytest.raises(WrongHostKeyError, match="presented the host key ecdsa-sha2-nistp256 SHA256:.*Nothing was sent"),
        connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [OTHER_PUBLIC]),
    ):
        pass
    assert server.received == []


def test_a_host_key_of_another_type_is_a_wrong_host_key_too(server: SshServer) -> None:
    ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    with (
        pytest.raises(WrongHostKeyError),
        connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [ed25519]),
    ):
        pass


def test_a_deploy_key_that_is_not_accepted_is_told(server: SshServer) -> None:
    with (
        pytest.raises(RefusedKeyError, match="does not accept the deploy key for user 'deploy'"),
        connect("127.0.0.1", server.port, "deploy", OTHER_PRIVATE, [HOST_PUBLIC]),
    ):
        pass


def test_what_goes_wrong_while_connected_is_not_taken_for_the_connection(server: SshServer) -> None:
    with (
        pytest.raises(FileNotFoundError, match="an archive of this machine's"),
        connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC]),
    ):
        raise FileNotFoundError("an archive of this machine's")


def test_a_listener_that_stays_silent_is_left_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with (
            pytest.raises(SshError),
            connect("127.0.0.1", silent.getsockname()[1], "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC], timeout=0.5),
        ):
            pass
    assert time.monotonic() - begin < 5


def test_a_command_that_does_not_end_is_left_after_its_timeout() -> None:
    def sleep(command: str, stdin: bytes) -> tuple[int, str, str]:
        time.sleep(5)
        return 0, "", ""

    with (
        SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], sleep) as server,
        connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC]) as connection,
        pytest.raises(SshError, match="no answer within"),
    ):
        connection.run("sleep", timeout=0.3)


def test_a_malformed_private_key_is_not_quoted_in_the_error(server: SshServer) -> None:
    with (
        pytest.raises(SshError) as caught,
        connect("127.0.0.1", server.port, "deploy", "planted-secret", [HOST_PUBLIC]),
    ):
        pass
    assert "planted-secret" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- the ready step


class BootingServer:
    """Answers the ready step like a server that needs a while: no agent at first, then all steps succeed."""

    def __init__(self, boot_failures: int = 0, bootstrap_status: int = 0) -> None:
        self.boot_failures, self.bootstrap_status = boot_failures, bootstrap_status

    def __call__(self, command: str, stdin: bytes) -> tuple[int, str, str]:
        if command.startswith("test -x"):
            self.boot_failures -= 1
            return (1 if self.boot_failures >= 0 else 0), "", ""
        if command.endswith("bootstrap"):
            return self.bootstrap_status, "{}", "E: Unable to locate package nginx"
        return 0, "{}", ""


def request(port: int, **changes: object) -> ready.Request:
    values = {
        "id": "machine-1",
        "name": "guest",
        "address": "127.0.0.1",
        "private_address": "127.0.0.1",
        "port": port,
        "user": "deploy",
        "private_key": DEPLOY_PRIVATE,
        "boot_public": OTHER_PUBLIC,
        "host_private": HOST_PRIVATE,
        "host_public": HOST_PUBLIC,
        "timeout": 5,
    }
    return ready.Request(**{**values, **changes})  # type: ignore[arg-type]


def test_ready_waits_for_the_agents_place_then_does_its_steps_in_order() -> None:
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], BootingServer(boot_failures=1)) as server:
        ready.make_ready(request(server.port))
        steps = [command.split()[-1] for command, _ in server.received if "sudo" in command]
        assert steps == ["upgrade", "bootstrap", "host-keys", "host-keys"]
        last = json.loads([stdin for command, stdin in server.received if "sudo" in command][-1])
        assert last == {"only": True}


def test_ready_shows_the_errors_of_cloud_init_and_does_not_try_again() -> None:
    with (
        SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], BootingServer(bootstrap_status=1)) as server,
        pytest.raises(ready.NotReadyError, match="'bootstrap' failed:\nE: Unable to locate package nginx"),
    ):
        ready.make_ready(request(server.port))


def test_ready_stops_at_once_at_a_host_key_that_is_neither_the_boot_nor_the_permanent_one() -> None:
    begin = time.monotonic()
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], echo) as server:
        with pytest.raises(WrongHostKeyError):
            ready.make_ready(request(server.port, host_public=OTHER_PUBLIC, timeout=60))
        assert server.received == []
    assert time.monotonic() - begin < 10


def test_ready_tries_again_while_sshd_reads_its_new_host_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = threading.Event()

    def answer(command: str, stdin: bytes) -> tuple[int, str, str]:
        if b"install" in stdin:
            installed.set()
        return BootingServer()(command, stdin)

    with SshServer(OTHER_PRIVATE, [DEPLOY_PUBLIC], answer) as server:  # the boot key

        def reload() -> None:
            installed.wait(10)
            time.sleep(1)
            server.host_key = HOST_PRIVATE

        threading.Thread(target=reload, daemon=True).start()
        ready.make_ready(request(server.port, timeout=30))
        steps = [command.split()[-1] for command, _ in server.received if "sudo" in command]
        assert steps == ["upgrade", "bootstrap", "host-keys", "host-keys"]
        monkeypatch.setattr(ready, "RELOAD_TIMEOUT", 1.0)
        server.host_key = OTHER_PRIVATE
        with pytest.raises(WrongHostKeyError):  # but not for ever
            ready.make_ready(request(server.port, timeout=30))


def test_ready_has_patience_with_the_images_host_keys_where_a_launch_script_replaces_them() -> None:
    other_private, _ = new_key()
    with SshServer(other_private, [DEPLOY_PUBLIC], BootingServer()) as server:
        threading.Timer(1.0, lambda: setattr(server, "host_key", HOST_PRIVATE)).start()
        ready.make_ready(request(server.port, timeout=30, patience=20))
        steps = [command.split()[-1] for command, _ in server.received if "sudo" in command]
        assert steps == ["upgrade", "bootstrap", "host-keys", "host-keys"]


def test_that_patience_has_an_end_and_nothing_is_sent_meanwhile() -> None:
    other_private, _ = new_key()
    begin = time.monotonic()
    with SshServer(other_private, [DEPLOY_PUBLIC], echo) as server:
        with pytest.raises(WrongHostKeyError):
            ready.make_ready(request(server.port, timeout=60, patience=1))
        assert server.received == []
    assert 1 <= time.monotonic() - begin < 10


@pytest.mark.parametrize("listening", [True, False])
def test_ready_gives_up_in_time_at_a_silent_or_closed_port(listening: bool) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    if not listening:
        silent.close()
    begin = time.monotonic()
    with pytest.raises(ready.NotReadyError, match="was not ready within 1 s. Last seen: "):
        ready.make_ready(request(port, timeout=1))
    assert time.monotonic() - begin < 10
    silent.close()


def test_a_connection_that_ends_before_the_command_is_told() -> None:
    def vanish(_command: str, _stdin: bytes) -> tuple[int, str, str]:
        server.__exit__()
        return 0, "", ""

    with (
        SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], vanish) as server,
        connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC]) as connection,
        pytest.raises(SshError, match="connection lost"),
    ):
        connection.run("agent")


def test_a_connection_whose_other_end_is_silent_is_lost_in_time(server: SshServer) -> None:
    with connect("127.0.0.1", server.port, "deploy", DEPLOY_PRIVATE, [HOST_PUBLIC]) as connection:
        ours = connection.transport.sock
        found = {
            name: ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        }
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert found["TCP_KEEPIDLE"] + found["TCP_KEEPINTVL"] * found["TCP_KEEPCNT"] <= LOST_AFTER
    assert found["TCP_USER_TIMEOUT"] == LOST_AFTER * 1000
