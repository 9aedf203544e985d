"""The stand-in's `remote.Command` and `remote.CopyToRemote` against pulumi-command 1.2.1.

Sources: pulumi/pulumi-command, `provider/pkg/provider/remote/` ("source"); the docstrings of the package ("SDK"); what
was measured with the real plug-in ("measured"). The server is a small one of the tests' own.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import command
from .direct import CallFailedError, Direct
from .sshd import Key, Server
from .values import ARCHIVE, ASSET, SIGNATURE, UNKNOWN

USER = Key()
ED25519, ECDSA = Key("ed25519"), Key("ecdsa")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server = Server([ED25519, ECDSA], USER)
    yield server
    server.close()


def remote() -> Direct:
    return Direct(command.provider("1.2.1"), "command:remote:Command", name="say")


def copying() -> Direct:
    return Direct(command.provider("1.2.1"), "command:remote:CopyToRemote", name="copy")


def asset(**content: str) -> dict[str, str]:
    return {SIGNATURE: ASSET, **content}


# -- connection ------------------------------------------------------------------------------------------------


def test_the_connection_has_the_documented_defaults() -> None:
    """Source connection.go, Annotate: user root, port 22, dialErrorLimit 10, perDialTimeout 15."""
    inputs = remote().checked(connection={"host": "h"})
    assert inputs["connection"] == {
        "host": "h",
        "user": "root",
        "port": 22,
        "dialErrorLimit": 10,
        "perDialTimeout": 15,
    }


@pytest.mark.parametrize("key", [ED25519, ECDSA])
def test_the_pinned_host_key_decides_which_one_the_server_shows(server: Server, key: Key) -> None:
    """Facts: "authorized_keys format; exactly one key, algorithm forced to its type"."""
    _, outputs = remote().create(create="echo in", connection=server.connection(hostKey=key.public))
    assert outputs["stdout"] == "in"


def test_a_wrong_host_key_is_refused_and_retried_like_any_dial_error(server: Server) -> None:
    """Measured: "after 10 failed attempts: ssh: handshake failed: ssh: host key mismatch", about 11 s."""
    wrong = server.connection(hostKey=Key().public, dialErrorLimit=2)
    with pytest.raises(CallFailedError) as error:
        remote().create(create="echo in", connection=wrong)
    assert str(error.value) == "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    assert server.connections == 3


def test_without_a_host_key_any_server_is_trusted(server: Server) -> None:
    """Source: ssh.InsecureIgnoreHostKey() (why DESIGN pins everywhere)."""
    _, outputs = remote().create(create="echo in", connection=server.connection())
    assert outputs["stdout"] == "in"


def test_a_dial_error_limit_of_n_means_n_plus_one_dials() -> None:
    """Source: `dials > dialErrorLimit`, dials being tries + 1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = 0

        def refuse() -> None:
            nonlocal accepted
            while True:
                try:
                    carrier, _ = listener.accept()
                except OSError:
                    return
                accepted += 1
                carrier.close()

        threading.Thread(target=refuse, daemon=True).start()
        connection = {"host": "127.0.0.1", "port": listener.getsockname()[1], "dialErrorLimit": 1}
        with pytest.raises(CallFailedError, match="after 1 failed attempts"):
            remote().create(create="true", connection={**connection, "privateKey": USER.private})
        assert accepted == 2
        listener.shutdown(socket.SHUT_RDWR)


def test_a_refused_login_counts_as_a_dial_error(server: Server) -> None:
    """Facts 4.1: "Authentication failures count as dial errors and are retried as well"."""
    with pytest.raises(CallFailedError, match="after 1 failed attempts: ssh: handshake failed: ssh: unable to auth"):
        remote().create(create="true", connection=server.connection(privateKey=Key().private))
    assert server.connections == 2


def test_a_key_that_is_none_fails_without_a_dial(server: Server) -> None:
    """Source: SShConfig's error comes before dialling. (The real one may print the text; the stand-in does not.)"""
    with pytest.raises(CallFailedError, match="ssh: no key found"):
        remote().create(create="true", connection=server.connection(privateKey="nonsense"))


def test_a_stale_agent_socket_is_an_error_even_with_a_key(server: Server, tmp_path: Path) -> None:
    """Facts 4.1: "a stale socket is an error, even if a key is given"."""
    stale = server.connection(agentSocketPath=str(tmp_path / "agent"))
    with pytest.raises(CallFailedError, match="dial unix"):
        remote().create(create="true", connection=stale)


# -- commands --------------------------------------------------------------------------------------------------


def test_stdin_and_both_streams_go_over_the_connection(server: Server) -> None:
    """SDK: `stdin`, `stdout`, `stderr`; one trailing newline is cut."""
    _, outputs = remote().create(
        create="cat; echo err >&2", stdin="secret " * 20000, connection=server.connection(), logging="none"
    )
    assert outputs["stdout"] == "secret " * 20000
    assert outputs["stderr"] == "err"


def test_a_command_that_a_signal_ended_says_which(server: Server) -> None:
    """golang.org/x/crypto/ssh: `Waitmsg.String`."""
    with pytest.raises(CallFailedError) as error:
        remote().create(create="kill -TERM $$", connection=server.connection())
    assert str(error.value).startswith("Process exited with status 143 from signal TERM: running")


def test_a_failure_shows_command_and_output_but_not_stdin(server: Server) -> None:
    """Measured: the error prints the whole command with its output; stdin is not printed unless echoed."""
    with pytest.raises(CallFailedError) as error:
        remote().create(create="echo no; exit 4", stdin="hidden", connection=server.connection())
    assert str(error.value) == 'Process exited with status 4: running "echo no; exit 4":\nno\n'


def test_environment_needs_the_servers_consent(server: Server) -> None:
    """Source commandOutputs.go: a refused setenv is an error for `environment`."""
    wish: dict[str, Any] = {"create": "echo $GREETING", "environment": {"GREETING": "hello"}}
    with pytest.raises(CallFailedError, match=r"could not set environment variable 'GREETING'.*AcceptEnv"):
        remote().create(**wish, connection=server.connection())
    server.accept_env = ("GREETING",)
    _, outputs = remote().create(**wish, connection=server.connection())
    assert outputs["stdout"] == "hello"


def test_the_previous_output_is_passed_where_the_server_lets_it_and_else_left_out(server: Server) -> None:
    """Source: "Set remote Stdout var optimistically, but warn and continue on failure"."""
    it = remote()
    show = "echo $PULUMI_COMMAND_STDOUT"
    _, state = it.create(create="echo one", connection=server.connection())
    assert it.update(state, create=show, connection=server.connection())["stdout"] == ""
    server.accept_env = ("PULUMI_COMMAND_STDOUT",)
    assert it.update(state, create=show, connection=server.connection())["stdout"] == "one"


def test_delete_connects_only_where_there_is_a_delete_command(server: Server, tmp_path: Path) -> None:
    """Facts 4.2: "without `delete`: no connection at all. With it: dials the stored connection"."""
    it = remote()
    _, state = it.create(create="true", connection=server.connection())
    before = server.connections
    it.delete(state)
    assert server.connections == before
    _, state = it.create(delete=f"touch {tmp_path}/deleted", connection=server.connection())
    it.delete(state)
    assert (tmp_path / "deleted").exists()


def test_a_changed_connection_is_an_update_and_a_trigger_a_replacement() -> None:
    """Facts 4.2: `connection.host` change is an Update, not a replace; triggers replace."""
    it = remote()
    state = it.checked(create="true", connection={"host": "a"}, triggers=["1"])
    assert it.diff(state, create="true", connection={"host": "b"}, triggers=["1"]) == {"connection.host": "UPDATE"}
    changed = it.diff(state, create="true", connection={"host": "a"}, triggers=["2"])
    assert changed == {"triggers[0]": "UPDATE_REPLACE"}


def test_a_preview_contacts_nothing(server: Server) -> None:
    """Facts 4.2."""
    _, outputs = remote().create(create="true", connection=server.connection(), preview=True)
    assert outputs["stdout"] == UNKNOWN
    assert server.connections == 0


def test_a_listener_that_stays_silent_is_waited_for() -> None:
    """Measured: `perDialTimeout` does not bound the handshake: a silent listener hung the command for good."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = {"host": "127.0.0.1", "port": listener.getsockname()[1], "perDialTimeout": 1}
        connection |= {"dialErrorLimit": 0, "privateKey": USER.private}

        def attempt() -> None:
            with pytest.raises(CallFailedError):
                remote().create(create="true", connection=connection)

        waiting = threading.Thread(target=attempt, daemon=True)
        waiting.start()
        time.sleep(2)
        assert waiting.is_alive()
        listener.accept()[0].close()
        waiting.join(10)
        assert not waiting.is_alive()


# -- copies ----------------------------------------------------------------------------------------------------


def test_a_file_is_copied_and_missing_folders_made(server: Server, tmp_path: Path) -> None:
    """SDK: "Any necessary parent directories will be created automatically" (1.2.1)."""
    source = tmp_path / "source.bin"
    source.write_bytes(b"\0\1" * 100_000)
    target = tmp_path / "a" / "b" / "target.bin"
    copying().create(source=asset(path=str(source), hash="1"), remotePath=str(target), connection=server.connection())
    assert target.read_bytes() == source.read_bytes()


def test_a_file_for_a_folder_lands_in_it_and_its_mode_is_lost(server: Server, tmp_path: Path) -> None:
    """SDK: "When the remote path is an existing directory, [it] will be copied into that directory". Measured: the
    exec bit is lost."""
    source = tmp_path / "run.sh"
    source.write_text("#!/bin/sh\n")
    source.chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    copying().create(source=asset(path=str(source), hash="1"), remotePath=str(folder), connection=server.connection())
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o644


def test_text_is_copied_as_it_is(server: Server, tmp_path: Path) -> None:
    """SDK: "It must be a FileAsset, StringAsset, or a FileArchive"."""
    target = tmp_path / "text"
    copying().create(source=asset(text="hello", hash="1"), remotePath=str(target), connection=server.connection())
    assert target.read_text() == "hello"


@pytest.mark.parametrize(("suffix", "expected"), [("", "target/source/in/file"), ("/", "target/in/file")])
def test_a_folder_is_copied_with_or_without_its_name(
    server: Server, tmp_path: Path, suffix: str, expected: str
) -> None:
    """Source copyController.go, the table of sftpCopy: `dir` → dest/dir, `dir/` → dest/x."""
    inner = tmp_path / "source" / "in"
    inner.mkdir(parents=True)
    (inner / "file").write_text("content")
    source = {SIGNATURE: ARCHIVE, "path": f"{tmp_path}/source{suffix}", "hash": "1"}
    copying().create(source=source, remotePath=str(tmp_path / "target"), connection=server.connection())
    assert (tmp_path / expected).read_text() == "content"


def test_a_copy_is_repeated_for_another_content_or_path_and_not_for_another_connection(
    server: Server, tmp_path: Path
) -> None:
    """Source: needCopy = hash or RemotePath. Measured: "copies nothing when only the connection changed"."""
    it = copying()
    target = tmp_path / "target"
    inputs = {"source": asset(text="one", hash="1"), "remotePath": str(target), "connection": server.connection()}
    _, state = it.create(**inputs)
    target.unlink()
    elsewhere = {**inputs, "connection": server.connection(dialErrorLimit=5)}
    assert it.diff(state, **elsewhere) == {"connection.dialErrorLimit": "UPDATE"}
    it.update(state, **elsewhere)
    assert not target.exists()
    changed = {**inputs, "source": asset(text="two", hash="2")}
    assert it.diff(state, **changed) == {"source": "UPDATE"}
    it.update(state, **changed)
    assert target.read_text() == "two"
    it.delete(state)
    assert target.exists()


def test_what_cannot_be_copied_is_refused() -> None:
    """Source Check: only path-based and text assets, path-based archives. Measured: unknown at preview fails."""
    it = copying()
    connection = {"host": "h"}
    _, failures = it.check(source=UNKNOWN, remotePath="/x", connection=connection)
    assert "either asset or archive must be set" in failures["asset"]
    _, failures = it.check(source=asset(uri="https://x"), remotePath="/x", connection=connection)
    assert "path-based" in failures["asset"]
    _, failures = it.check(source={SIGNATURE: ARCHIVE, "assets": {}}, remotePath="/x", connection=connection)
    assert "archive" in failures
