"""One SSH connection: pinned, bounded, by key only.

Used by the programs that Pulumi's commands start (`ready`, `observe`). Nothing is sent before the server has proved
to hold a pinned host key, and no unknown host key is ever accepted.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .lean import paramiko

HANDSHAKE_TIMEOUT = 15.0
"""Seconds for each of: TCP connect, the server's banner, key exchange, authentication."""

LOST_AFTER = 30
"""Seconds of silence after which a connection is taken for lost: a command may be silent for an hour, the system of a
server that is there is not."""

# paramiko would print its own warnings of what is reported here as an exception
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class SshError(Exception):
    """The connection could not be made or broke off; it may be worth another try."""


class WrongHostKeyError(SshError):
    """The server presented a host key that is not pinned: never worth another try."""


class RefusedKeyError(SshError):
    """The server does not (yet) accept the deploy key."""


@dataclass(frozen=True)
class Result:
    """What a remote command answered."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Connection:
    """An open connection to `address`; `host_key` is the pinned key that the server proved to hold."""

    transport: paramiko.Transport
    address: str
    host_key: str

    def run(
        self,
        command: str,
        stdin: str | Callable[[str], bytes] = "",
        timeout: float = 60.0,
        progress: Callable[[str], None] | None = None,
    ) -> Result:
        """Runs `command` with `stdin`, giving each line of its stderr to `progress` as it comes.

        `stdin` may be a function of the first line of the command's stdout, which is then no part of the result.
        Raises `SshError` when it has not ended after `timeout` seconds, or when the connection is lost.
        """
        deadline = time.monotonic() + timeout
        try:
            channel = self.transport.open_session(timeout=HANDSHAKE_TIMEOUT)
            channel.settimeout(timeout)
            channel.exec_command(command)
            _feed(channel, stdin(_first_line(channel)) if callable(stdin) else stdin.encode())
            stdout, stderr = _relay(channel, deadline, progress)
            status = channel.recv_exit_status()
        except TimeoutError as error:
            raise SshError(f"{self.address}: no answer within {timeout:.0f} s to: {command}") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SshError(f"{self.address}: connection lost: {error or type(error).__name__}") from error
        if status < 0:  # paramiko's word for a channel that closed without one
            raise SshError(f"{self.address}: connection lost: it ended before the command did")
        return Result(status, stdout, stderr)


@contextmanager
def connect(
    address: str,
    port: int,
    user: str,
    private_key: str | Sequence[paramiko.PKey],
    host_keys: Sequence[str],
    timeout: float = HANDSHAKE_TIMEOUT,
) -> Iterator[Connection]:
    """Connects to `address` if it holds one of `host_keys` (authorized_keys lines).

    `private_key` is OpenSSH text, or several keys (as of an agent) that are offered in turn.
    `timeout` (seconds) bounds each part of the handshake, so that a listener that accepts and stays silent is left.
    Raises `WrongHostKeyError`, `RefusedKeyError` or `SshError`.
    """
    pinned = [_bare(line) for line in host_keys]
    keys = [load_private_key(private_key)] if isinstance(private_key, str) else private_key
    with ExitStack() as opened:
        try:
            transport = opened.enter_context(closing(_transport(address, port, timeout)))
            _prefer_types_of(pinned, transport)
            transport.start_client(timeout=timeout)
            presented = _present(transport)
            if presented not in pinned:
                raise WrongHostKeyError(
                    f"{address}:{port} presented the host key {fingerprint(presented)}, but only "
                    f"{' or '.join(fingerprint(line) for line in pinned)} is trusted. Nothing was sent to it. "
                    "Another machine answers at this address, or its key was changed outside Pulumi."
                )
            _log_in(transport, user, keys)
        except paramiko.AuthenticationException as error:
            which = "the deploy key" if user == "deploy" else "the key"
            raise RefusedKeyError(f"{address}:{port} does not accept {which} for user {user!r}") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SshError(f"{address}:{port}: {error or type(error).__name__}") from error
        yield Connection(transport, address, presented)


def _transport(address: str, port: int, timeout: float) -> paramiko.Transport:
    connection = socket.create_connection((address, port), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _notice_silence(connection)
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout
    return transport


def _notice_silence(connection: socket.socket) -> None:
    """Have the system end a connection whose other end is gone without a word, as behind a cut cable."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": LOST_AFTER * 1000}
    for name, value in options.items():
        if hasattr(socket, name):  # of Linux; elsewhere it takes longer
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def say(line: str) -> None:
    """Progress for people, who see it as it comes."""
    print(line, file=sys.stderr, flush=True)


def fingerprint(line: str) -> str:
    """`line` (authorized_keys format) as people compare it: `ssh-ed25519 SHA256:…`."""
    kind, blob = line.split()[:2]
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    return f"{kind} SHA256:{digest}"


def load_private_key(text: str) -> paramiko.PKey:
    """The private key in OpenSSH text, ed25519, ECDSA or RSA; raises `SshError` that does not quote it."""
    for form in (text, _as_pem(text)):
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key(io.StringIO(form))
            except (paramiko.SSHException, ValueError):
                continue
    raise SshError("the private key is neither ed25519, ECDSA nor RSA in OpenSSH form")


def _as_pem(text: str) -> str:
    """The same key in PEM; empty when it is none. paramiko 5.1 takes an OpenSSH key without a comment for an empty
    one when it needs no padding: it cuts the last n bytes off, also for n = 0."""
    try:
        key = serialization.load_ssh_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    if isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain).decode()
    return ""


def agent_keys() -> list[paramiko.PKey]:
    """The keys of the running ssh-agent; raises `SshError` when there is no agent, or none in it."""
    keys: list[paramiko.PKey] = list(paramiko.Agent().get_keys())
    if not keys:
        raise SshError(
            "no ssh-agent with a key in it is running: start one (`eval $(ssh-agent)`), and `ssh-add` the key"
        )
    return keys


def _log_in(transport: paramiko.Transport, user: str, keys: Sequence[paramiko.PKey]) -> None:
    """Offers the keys in turn; sshd ends it when there are too many."""
    for number, key in enumerate(keys, start=1):
        try:
            transport.auth_publickey(user, key)
        except paramiko.AuthenticationException:
            if number == len(keys) or not transport.is_active():
                raise
        if transport.is_authenticated():
            return
    raise paramiko.AuthenticationException("the server asks for more than a key")


def _bare(line: str) -> str:
    return " ".join(line.split()[:2])


def _present(transport: paramiko.Transport) -> str:
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


def _prefer_types_of(pinned: Sequence[str], transport: paramiko.Transport) -> None:
    """A server with several keys must show the pinned one; another type is still met, to be told as a wrong key."""
    options = transport.get_security_options()
    types = [line.split()[0] for line in pinned]
    options.key_types = [*types, *(kind for kind in options.key_types if kind not in types)]


def _first_line(channel: paramiko.Channel) -> str:
    """What the command says before it reads; byte by byte, since the rest is its answer."""
    line = b""
    while not line.endswith(b"\n") and (byte := channel.recv(1)):
        line += byte
    return line.decode(errors="replace").strip()


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    """Gives the command its stdin. One that ended without reading all of it says why by itself."""
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except OSError:
        if not channel.exit_status_ready():
            raise


def _relay(channel: paramiko.Channel, deadline: float, progress: Callable[[str], None] | None) -> tuple[str, str]:
    """Reads both streams until the command has ended, so that neither can fill up and block it."""
    stdout, stderr, rest = bytearray(), bytearray(), b""
    while True:
        ended = channel.exit_status_ready() and not channel.recv_ready() and not channel.recv_stderr_ready()
        moved = False
        while channel.recv_ready():
            stdout += channel.recv(65536)
            moved = True
        while channel.recv_stderr_ready():
            chunk = channel.recv_stderr(65536)
            stderr += chunk
            moved = True
            if progress:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    progress(line.decode(errors="replace"))
        if ended and not moved:
            if progress and rest:
                progress(rest.decode(errors="replace"))
            return stdout.decode(errors="replace"), stderr.decode(errors="replace")
        if not moved:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.005)
