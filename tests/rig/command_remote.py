"""Commands and copies over SSH, as `remote.Command` and `remote.CopyToRemote` do them."""

from __future__ import annotations

import errno
import io
import logging
import os
import posixpath
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar
from weakref import WeakKeyDictionary

import paramiko
from cryptography.hazmat.primitives import serialization

from .command_output import TOO_LONG, Output
from .provider import Call, RefusedError
from .values import Properties

# Every failed dial would print a traceback; what failed is in the error that the user sees.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_FOREVER = 24 * 3600.0
"""Seconds. The real plug-in bounds nothing after the TCP connection: a silent listener hangs it."""
T = TypeVar("T")

_SIGNALS = {name.removeprefix("SIG"): int(number) for name, number in signal.Signals.__members__.items()}
_signals: WeakKeyDictionary[paramiko.Channel, str] = WeakKeyDictionary()
"""By which signal the command of a channel was ended."""


def run(command: str, state: Properties, call: Call) -> dict[str, str]:
    """Run a command on the host of `connection`; answer stdout and stderr. Raises RefusedError when it fails."""
    output = Output(state.get("logging"), call.log)
    with _connected(state["connection"], call) as transport:
        channel = _session(transport, state, call)
        channel.exec_command(command)
        status = _exchange(channel, state.get("stdin", "").encode(), output)
    output.close()
    if status != 0:
        raise RefusedError(output.failure(_how(status, channel, transport), command))
    if output.hanging:
        raise RefusedError(TOO_LONG)
    return output.result()


def copy(source: Properties, remote_path: str, connection: Properties, call: Call) -> None:
    """Copy a file, folder or text to the host of `connection`. Raises RefusedError when it fails."""
    with _connected(connection, call) as transport:
        sftp = paramiko.SFTPClient.from_transport(transport)
        if sftp is None:
            raise RefusedError("the server refused the SFTP subsystem")
        try:
            _make_parents(sftp, remote_path)
            if "path" in source:
                _put(sftp, source["path"], remote_path)
            else:
                if _is_folder(sftp, remote_path):
                    raise RefusedError(
                        f"remote path {remote_path} is a directory; when using a text asset, remotePath must be "
                        "a file path"
                    )
                _write(sftp, remote_path, io.BytesIO(source["text"].encode()))
        except OSError as error:
            raise RefusedError(f"failed to copy to remote path {remote_path}: {error}") from error


def _how(status: int, channel: paramiko.Channel, transport: paramiko.Transport) -> str:
    """As the words of `golang.org/x/crypto/ssh` are; it counts from 128 for the signals that it knows."""
    if status >= 0:
        return f"Process exited with status {status}"
    name = _signals.get(channel)
    if name is not None:
        return f"Process exited with status {128 + _SIGNALS.get(name, 0)} from signal {name}"
    lost = transport.saved_exception
    return f"remote command exited without exit status or exit signal{f' ({lost})' if lost else ''}"


def _heed_signal(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """A handler of channels; paramiko's own passes over the word that a command was ended by a signal."""
    if message.get_text() == "exit-signal":
        message.get_boolean()
        _signals[channel] = message.get_text()
    message.rewind()
    message.get_int()
    channel._handle_request(message)


class _Transport(paramiko.Transport):
    _channel_handler_table: ClassVar = {
        **paramiko.Transport._channel_handler_table,
        paramiko.common.MSG_CHANNEL_REQUEST: _heed_signal,
    }


# -- connecting ------------------------------------------------------------------------------------------------


@contextmanager
def _connected(connection: Properties, call: Call) -> Iterator[paramiko.Transport]:
    proxy = connection.get("proxy")
    if proxy is None:
        transport = _with_retries("Dial", connection, call, lambda: _handshake(_tcp(connection), connection))
        with transport:
            yield transport
        return
    with _with_retries("Dial proxy", proxy, call, lambda: _handshake(_tcp(proxy), proxy)) as outer:
        target = (connection["host"], connection["port"])
        inner = _with_retries(
            "Dial from proxy",
            connection,
            call,
            lambda: _handshake(outer.open_channel("direct-tcpip", target, ("127.0.0.1", 0)), connection),
        )
        with inner:
            yield inner


def _with_retries(what: str, endpoint: Properties, call: Call, dial: Callable[[], T]) -> T:
    """Dial until it works, or failed once more than `dialErrorLimit` allows. A wrong key is retried too."""
    limit = endpoint["dialErrorLimit"]
    pause = 0.1
    tries = 0
    while True:
        try:
            return dial()
        except (OSError, EOFError, paramiko.SSHException) as error:
            if limit > -1 and tries + 1 > limit:
                raise RefusedError(f"after {tries} failed attempts: {_described(error)}") from error
        tries += 1
        call.log(f"{what} {tries}/{limit if limit > -1 else 'inf'} failed: retrying")
        if call.cancelled.wait(pause):
            raise RefusedError("context canceled")
        pause = min(pause * 1.5, 5)


def _described(error: Exception) -> str:
    if isinstance(error, paramiko.AuthenticationException):
        return (
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported "
            "methods remain"
        )
    if isinstance(error, paramiko.SSHException):
        return f"ssh: handshake failed: {error}"
    return f"dial tcp: {error}"


def _tcp(endpoint: Properties) -> socket.socket:
    connected = socket.create_connection(
        (endpoint["host"], endpoint["port"]), timeout=endpoint["perDialTimeout"] or None
    )
    connected.settimeout(None)
    return connected


def _handshake(carrier: socket.socket | paramiko.Channel, endpoint: Properties) -> paramiko.Transport:
    transport = _Transport(carrier)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = _FOREVER
    try:
        pinned = endpoint.get("hostKey")
        if pinned is not None:
            kind, _, blob = pinned.strip().partition(" ")
            # Without this the server would offer the key it prefers, not the one that is expected.
            transport.get_security_options().key_types = [kind]
        transport.start_client()
        if pinned is not None:
            _require_key(transport, blob.split()[0])
        _authenticate(transport, endpoint)
    except BaseException:
        transport.close()
        raise
    return transport


def _require_key(transport: paramiko.Transport, blob: str) -> None:
    if transport.get_remote_server_key().get_base64() != blob:
        raise paramiko.SSHException("ssh: host key mismatch")


def _authenticate(transport: paramiko.Transport, endpoint: Properties) -> None:
    """Offer key, then password, then the agent's keys: all that are given."""
    user = endpoint["user"]
    attempts: list[Callable[[], object]] = []
    if "privateKey" in endpoint:
        key = _private_key(endpoint["privateKey"], endpoint.get("privateKeyPassword"))
        attempts.append(lambda: transport.auth_publickey(user, key))
    if "password" in endpoint:
        attempts.append(lambda: transport.auth_password(user, endpoint["password"]))
    agent = endpoint.get("agentSocketPath", os.environ.get("SSH_AUTH_SOCK"))
    if agent:
        attempts += [lambda key=key: transport.auth_publickey(user, key) for key in _agent_keys(agent)]  # type: ignore[misc]
    failure: Exception = paramiko.AuthenticationException("no key, password or agent is given")
    for attempt in attempts:
        try:
            attempt()
        except paramiko.AuthenticationException as error:
            failure = error
        if transport.is_authenticated():
            return
    raise failure


def _private_key(text: str, password: str | None) -> paramiko.PKey:
    """A key in OpenSSH, PKCS#1, SEC 1 or PKCS#8 form; the library knows fewer than Go's."""
    raw, secret = text.encode(), password.encode() if password else None
    try:
        load = serialization.load_ssh_private_key if b"BEGIN OPENSSH" in raw else serialization.load_pem_private_key
        key = load(raw, secret)
        openssh = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    except (ValueError, TypeError) as error:
        raise RefusedError(f"ssh: no key found: {error}") from error
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(openssh.decode()))
        except paramiko.SSHException:
            continue
    raise RefusedError("ssh: no key found: neither Ed25519, ECDSA nor RSA")


def _agent_keys(path: str) -> tuple[paramiko.PKey, ...]:
    # The real plug-in makes a stale socket an error even when a key is given.
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except OSError as error:
        raise RefusedError(f"dial unix {path}: connect: {error.strerror}") from error
    previous = os.environ.get("SSH_AUTH_SOCK")
    os.environ["SSH_AUTH_SOCK"] = path
    try:
        return paramiko.Agent().get_keys()
    finally:
        if previous is None:
            del os.environ["SSH_AUTH_SOCK"]
        else:
            os.environ["SSH_AUTH_SOCK"] = previous


# -- commands --------------------------------------------------------------------------------------------------


def _session(transport: paramiko.Transport, state: Properties, call: Call) -> paramiko.Channel:
    """A session with its environment set: what `environment` names must be accepted, the previous output may be."""
    accepted = []
    if state.get("addPreviousOutputInEnv", True):
        for stream in ("stdout", "stderr"):
            name = f"PULUMI_COMMAND_{stream.upper()}"
            if not state.get(stream):
                continue
            # The library closes a channel on which the server refuses anything: ask on one of its own.
            with transport.open_session(timeout=_FOREVER) as trial:
                if _setenv(trial, name, state[stream]):
                    accepted.append((name, state[stream]))
                else:
                    call.log(f"Unable to set '{name}'. This only works if your SSH server accepts it via AcceptEnv")
    channel = transport.open_session(timeout=_FOREVER)
    for name, value in [*state.get("environment", {}).items(), *accepted]:
        if not _setenv(channel, name, value):
            raise RefusedError(
                f"could not set environment variable {name!r}: ssh: setenv failed. This only works if your SSH server "
                "is configured to accept these variables via AcceptEnv"
            )
    return channel


def _setenv(channel: paramiko.Channel, name: str, value: str) -> bool:
    """Ask for one variable and wait for the answer, which the library's own call for it does not do."""
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("env")
    message.add_boolean(True)
    message.add_string(name)
    message.add_string(value)
    channel._event_pending()
    channel.transport._send_user_message(message)
    try:
        channel._wait_for_event()
    except paramiko.SSHException:
        return False
    return True


def _exchange(channel: paramiko.Channel, stdin: bytes, output: Output) -> int:
    """Send the input and read both streams to their ends; answer the exit status, -1 without one."""
    pending = memoryview(stdin)
    if not pending:
        channel.shutdown_write()
    while True:
        idle = True
        if pending and channel.send_ready():
            pending = pending[channel.send(pending[:32768]) :]
            idle = False
            if not pending:
                channel.shutdown_write()
        for ready, receive, stream in (
            (channel.recv_ready, channel.recv, "stdout"),
            (channel.recv_stderr_ready, channel.recv_stderr, "stderr"),
        ):
            while ready():
                output.write(stream, receive(65536))
                idle = False
        if idle:
            if channel.closed or (channel.exit_status_ready() and channel.eof_received):
                break
            time.sleep(0.005)
    return channel.recv_exit_status()


# -- copies ----------------------------------------------------------------------------------------------------


def _put(sftp: paramiko.SFTPClient, source: str, target: str) -> None:
    """Copy by the documented table: `dir` into `target/dir`, `dir/` as `target`, a file into a folder or as it."""
    name = posixpath.basename(source.rstrip("/"))
    if not Path(source).is_dir():
        if _is_folder(sftp, target):
            target = posixpath.join(target, name)
        with Path(source).open("rb") as handle:
            _write(sftp, target, handle)
        return
    if not source.endswith("/"):
        _make_folder(sftp, target)
        target = posixpath.join(target, name)
    for folder, _, files in os.walk(source):
        inner = posixpath.normpath(posixpath.join(target, os.path.relpath(folder, source)))
        _make_folder(sftp, inner)
        for file in files:
            with (Path(folder) / file).open("rb") as handle:
                _write(sftp, posixpath.join(inner, file), handle)


def _write(sftp: paramiko.SFTPClient, target: str, content: io.BufferedReader | io.BytesIO) -> None:
    with sftp.open(target, "wb") as remote:
        remote.set_pipelined(True)
        while data := content.read(32768):
            remote.write(data)


def _make_parents(sftp: paramiko.SFTPClient, path: str) -> None:
    parent = posixpath.dirname(path.rstrip("/"))
    if parent and parent != "/" and not _is_folder(sftp, parent):
        _make_parents(sftp, parent)
        _make_folder(sftp, parent)


def _make_folder(sftp: paramiko.SFTPClient, path: str) -> None:
    if _is_folder(sftp, path):
        return
    try:
        sftp.mkdir(path)
    except OSError as error:
        raise RefusedError(f"failed to create remote directory {path}: {error}") from error


def _is_folder(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        mode = sftp.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return mode is not None and stat.S_ISDIR(mode)
