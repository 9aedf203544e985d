"""Which addresses may be put under load: a private address of this host or of a machine on it, named by a number.

A load generator that follows names or routes can hit somebody else's server by a typing mistake. This one connects
only to an address that is given as digits, is private or loopback, and is reached without a gateway.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import urlsplit

_ALLOWED = [
    ipaddress.ip_network(net)
    for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "203.0.113.0/24")
]
"""Private networks, and the one for documentation (RFC 5737) that the rig's clouds have their public addresses in."""


class RefusedTargetError(ValueError):
    """The target is not a machine on this host, or it cannot be told."""


@dataclass(frozen=True)
class Target:
    """Where requests go, and what they ask for."""

    url: str
    tls: bool
    host: str
    """The name or address in the URL: what the certificate must say."""
    address: str
    """The IP address that is connected to."""
    port: int
    path: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_target(url: str, resolve: str | None = None) -> Target:
    """The target of ``url``; ``resolve`` is the address of its host where the URL holds a name.

    Raises ``RefusedTargetError`` unless the address is given as a number, private, and without a gateway between.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RefusedTargetError(f"target {url!r}: expected http://… or https://… with a host")
    if parts.username is not None:
        raise RefusedTargetError(f"target {parts.hostname!r}: user names in a URL are not supported")
    tls = parts.scheme == "https"
    address = check_address(resolve if resolve is not None else parts.hostname)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(url, tls, parts.hostname, address, parts.port or (443 if tls else 80), path)


def check_address(text: str) -> str:
    """``text`` again if it is the number of a private address that needs no gateway."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise RefusedTargetError(
            f"target {text!r} is a name: give the address of a local machine as a number (--resolve 10.…)"
        ) from None
    if not any(address in net for net in _ALLOWED if net.version == address.version):
        raise RefusedTargetError(f"target {text} is not a private address: load is only put on machines of this host")
    gateway = _gateway(text)
    if gateway:
        raise RefusedTargetError(
            f"target {text} is behind the gateway {gateway}: load is only put on machines of this host"
        )
    return text


def _gateway(address: str) -> str | None:
    """The first hop to ``address``, or ``None`` where there is none or this host has no ``ip`` command to ask."""
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if ip is None:
        return None
    answer = subprocess.run([ip, "-j", "route", "get", address], capture_output=True, timeout=10, check=False)
    if answer.returncode != 0:
        return None  # no route: connecting will say so
    routes = json.loads(answer.stdout or b"[]")
    return next((route["gateway"] for route in routes if "gateway" in route), None)
