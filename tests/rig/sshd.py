"""An SSH server on loopback that really runs commands and serves files, as the user of the tests."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


class Key:
    """A key pair in OpenSSH's notations."""

    def __init__(self, kind: str = "ed25519") -> None:
        key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
        self.private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode()
        self.public = (
            key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        )
        loader = paramiko.Ed25519Key if kind == "ed25519" else paramiko.ECDSAKey
        self.paramiko: paramiko.PKey = loader.from_private_key(io.StringIO(self.private))


class Server:
    """Shows `host_keys`, lets `allowed` in, accepts the variables in `accept_env`."""

    def __init__(self, host_keys: list[Key], allowed: Key, accept_env: tuple[str, ...] = ()) -> None:
        self.host_keys, self.allowed, self.accept_env = host_keys, allowed, accept_env
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it and all its connections."""
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def connection(self, **more: Any) -> dict[str, Any]:
        """The `connection` that reaches it."""
        endpoint = {"host": "127.0.0.1", "port": self.port, "user": "somebody", "dialErrorLimit": 1}
        return {**endpoint, "privateKey": self.allowed.private, "agentSocketPath": "", **more}

    def _accept(self) -> None:
        while True:
            try:
                carrier, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(carrier)
            self._transports.append(transport)
            for key in self.host_keys:
                transport.add_server_key(key.paramiko)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
            try:
                transport.start_server(server=_Session(self))
            except (paramiko.SSHException, EOFError, OSError):
                continue


class _Session(paramiko.ServerInterface):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.environment: dict[int, dict[str, str]] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = key == self.server.allowed.paramiko
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        if name.decode() not in self.server.accept_env:
            return False
        self.environment.setdefault(channel.get_id(), {})[name.decode()] = value.decode()
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        stdin = b"".join(iter(lambda: channel.recv(65536), b""))
        environment = {**os.environ, **self.environment.get(channel.get_id(), {})}
        done = subprocess.run(
            ["/bin/sh", "-c", command], input=stdin, env=environment, capture_output=True, check=False
        )
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        if done.returncode < 0:
            _send_signal(channel, signal.Signals(-done.returncode).name.removeprefix("SIG"))
        else:
            channel.send_exit_status(done.returncode)
        channel.close()


def _send_signal(channel: paramiko.Channel, name: str) -> None:
    """The other way to tell how a command ended (RFC 4254, 6.10); paramiko has a call for the status alone."""
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(name)
    message.add_boolean(False)
    message.add_string("")
    message.add_string("")
    channel.transport._send_user_message(message)


class _Handle(paramiko.SFTPHandle):
    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    """The real file system."""

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        try:
            Path(path).mkdir()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Any:
        try:
            descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = _Handle(flags)
        handle.readfile = handle.writefile = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        return handle
