"""A small SSH server on loopback that answers commands from a table; to test what connects to servers."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable

import paramiko

Answer = Callable[[str, bytes], tuple[int, str, str]]


def new_key() -> tuple[str, str]:
    """(private key as text, public key as one line); ECDSA, because paramiko makes no ed25519 keys."""
    key = paramiko.ECDSAKey.generate()
    text = io.StringIO()
    key.write_private_key(text)
    return text.getvalue(), f"{key.get_name()} {key.get_base64()}"


class SshServer:
    """Shows `host_key`, lets `allowed` (public keys) in, runs nothing: `answer(command, stdin)` gives the results."""

    def __init__(self, host_key: str, allowed: list[str], answer: Answer) -> None:
        self.host_key, self.allowed, self.answer = host_key, allowed, answer
        self.received: list[tuple[str, bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> SshServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            self._transports.append(transport)
            transport.add_server_key(paramiko.ECDSAKey.from_private_key(io.StringIO(self.host_key)))
            try:
                transport.start_server(server=_Interface(self))
            except (paramiko.SSHException, EOFError, OSError):
                continue


class _Interface(paramiko.ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self.server = server

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = f"{key.get_name()} {key.get_base64()}" in self.server.allowed
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        stdin = b"".join(iter(lambda: channel.recv(65536), b""))
        self.server.received.append((command, stdin))
        status, stdout, stderr = self.server.answer(command, stdin)
        channel.sendall(stdout.encode())
        channel.sendall_stderr(stderr.encode())
        channel.send_exit_status(status)
        channel.close()
