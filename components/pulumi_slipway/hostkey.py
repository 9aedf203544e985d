"""`python -m pulumi_slipway.hostkey ADDRESS[:PORT]`: the host keys that a machine shows, for a person to compare.

The keys go to stdout, each a line that is ready to be the setting; what to compare them with goes to stderr. Nothing
is stored, and nothing is sent to the machine: whether a key is to be trusted is for a person to say.
"""

from __future__ import annotations

import re
import socket
import sys

import paramiko

from .servers.logins import HOST_KEY_TYPES
from .ssh import HANDSHAKE_TIMEOUT, SshError, fingerprint, say

_USAGE = "usage: python -m pulumi_slipway.hostkey ADDRESS[:PORT]"


def shown_keys(address: str, port: int, timeout: float = HANDSHAKE_TIMEOUT) -> list[str]:
    """The keys that can be pinned, the preferred one first, as the machine shows them now. Raises `SshError`."""
    found = [_shown(address, port, kind, timeout) for kind in HOST_KEY_TYPES]
    return [key for key in found if key]


def parse_place(text: str) -> tuple[str, int]:
    """Address and port of `ADDRESS[:PORT]`, `[IPv6]:PORT` or a bare IPv6 address; raises `ValueError`."""
    match = re.fullmatch(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](:(?P<port6>\d+))?|(?P<host>[^\s:@/\[\]]+)(:(?P<port>\d+))?", text)
    if match is None:
        if re.fullmatch(r"[0-9A-Fa-f:.]+", text) and text.count(":") > 1:
            return text, 22
        raise ValueError(f"{text!r} is no address; give one as in 192.0.2.7, host.example.org:2222 or [2001:db8::7]:22")
    port = int(match["port"] or match["port6"] or 22)
    if not 1 <= port <= 65535:
        raise ValueError(f"port {port} is out of range; give one of 1 to 65535")
    return match["v6"] or match["host"], port


def advice(address: str, port: int, keys: list[str]) -> list[str]:
    """What to do with the keys, for a person who has only seen them come over the network."""
    names = {"ssh-ed25519": "ed25519"}
    lines = [f"{address}:{port} shows", ""]
    lines += [f"  {fingerprint(key)}" for key in keys]
    lines += [
        "",
        "Whoever answers at this address could have shown that. Compare before you trust it: on the machine's own",
        "console, or over a connection that you trust already, let it print the same fingerprints itself:",
        "",
        *(f"  ssh-keygen -lf /etc/ssh/ssh_host_{names.get(key.split()[0], 'ecdsa')}_key.pub" for key in keys),
        "",
        "If one is the same, character by character, it is the machine's; set it:",
        "",
        f"  pulumi config set --path slipway:existing.host_key '{keys[0]}'",
    ]
    return lines


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        say(_USAGE)
        return 2
    try:
        address, port = parse_place(sys.argv[1])
        keys = shown_keys(address, port)
    except (SshError, ValueError) as error:
        say(f"error: {error}")
        return 1
    if not keys:
        say(
            f"error: {address}:{port} shows no key of type {', '.join(HOST_KEY_TYPES)}; `sudo ssh-keygen -A` on the "
            "machine makes those that are missing"
        )
        return 1
    for line in keys:
        print(line)
    for line in advice(address, port, keys):
        say(line)
    return 0


def _shown(address: str, port: int, kind: str, timeout: float) -> str | None:
    """The key of this type; None when the machine has none. Ends before anybody logs in."""
    transport: paramiko.Transport | None = None
    try:
        transport = paramiko.Transport(socket.create_connection((address, port), timeout))
        transport.banner_timeout = transport.handshake_timeout = timeout
        transport.get_security_options().key_types = [kind]
        transport.start_client(timeout=timeout)
        key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer:
        return None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise SshError(f"{address}:{port}: {error or type(error).__name__}") from error
    finally:
        if transport is not None:
            transport.close()
    return f"{key.get_name()} {key.get_base64()}"


if __name__ == "__main__":
    sys.exit(main())
