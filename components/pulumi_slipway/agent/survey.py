"""What else is on a machine that somebody has: other web servers, others' sites, users in the way."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from . import adoption, paths, users
from .errors import AgentError
from .facts import facts
from .run import tool

_PORTS = (80, 443)
_OURS = "# Written by Slipway"
_DISK_MB = 700
"""Free disk that packages, one app and its environment need at the least."""


def refuse(user: str, other_sites: bool) -> None:
    """Raises `AgentError` for a machine that Slipway cannot be a guest of, and says what would help.

    `user` is the one that releases are to log in as.
    """
    _refuse_servers_of_slipway(user)
    free = facts()["disk_free_mb"]
    if free < _DISK_MB:
        raise AgentError(f"disk: {free} MB are free on this machine, and {_DISK_MB} are needed: make room on it")
    for port, programs in listeners().items():
        strangers = sorted(programs - {"nginx"})
        if strangers:
            raise AgentError(
                f"port {port} is in use by {', '.join(strangers)}: Slipway serves by nginx on the ports 80 and 443. "
                "Stop and disable that server, or take another machine"
            )
    others = sites_of_others()
    if not others:
        return
    if not other_sites:
        raise AgentError(
            f"nginx on this machine has sites of somebody else's ({', '.join(others[:5])}): set other_sites to true, "
            "and Slipway adds its own beside them and leaves them, their default site and nginx.conf alone; or take "
            "another machine"
        )
    _refuse_unfit_nginx()


def listeners() -> dict[int, set[str]]:
    """The programs that listen on the ports of the web."""
    found: dict[int, set[str]] = {}
    for line in tool(["ss", "--tcp", "--listening", "--numeric", "--processes", "--no-header"]).splitlines():
        fields = line.split()
        port = int(fields[3].rpartition(":")[2]) if len(fields) > 3 and fields[3][-1:].isdigit() else 0
        if port in _PORTS:
            found.setdefault(port, set()).update(re.findall(r'\("([^"]+)"', line) or {"a program of the kernel's"})
    return found


def sites_of_others() -> list[str]:
    """Files by which nginx serves what is neither Slipway's nor the distribution's welcome page."""
    folder = paths.rooted("/etc/nginx")
    candidates = [*folder.glob("sites-enabled/*"), *folder.glob("conf.d/*.conf")]
    return sorted(
        f"/{path.relative_to(paths.ROOT)}" for path in candidates if not _is_ours(path) and not _is_welcome_page(path)
    )


def programs_of_others() -> list[str]:
    """Files by which supervisor runs what is not Slipway's."""
    found = paths.rooted("/etc/supervisor/conf.d").glob("*.conf")
    return sorted(
        path.name for path in found if not path.read_text(errors="replace").startswith("; Written by Slipway")
    )


def _refuse_servers_of_slipway(user: str) -> None:
    if users.find(user) is None:
        return
    if users.own(user) is None:
        raise AgentError(
            f"a user {user!r} that is not Slipway's exists on this machine, and releases log in by that name: "
            f"rename it (usermod --login NEW {user}), or take another machine"
        )
    if adoption.read() is None:
        raise AgentError(
            "this machine was made by Slipway, as a server of another stack: go on with that stack, or destroy it "
            "there first"
        )


def _refuse_unfit_nginx() -> None:
    try:
        text = tool(["nginx", "-T", "-q"])
    except AgentError as error:
        raise AgentError(
            "nginx on this machine does not accept its own configuration: mend that first", error.tail
        ) from error
    for pattern in ("/etc/nginx/conf.d/*.conf", "/etc/nginx/sites-enabled/*"):
        if not re.search(rf"^\s*include\s+{re.escape(pattern)}\s*;", text, re.MULTILINE):
            raise AgentError(
                f"nginx on this machine does not read {pattern}: add `include {pattern};` to the http section of "
                "/etc/nginx/nginx.conf"
            )


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text(errors="replace").startswith(_OURS)
    except OSError:  # a link to nowhere serves nothing
        return True


def _is_welcome_page(path: Path) -> bool:
    """The distribution's own default site, as it comes with the package."""
    real = path.resolve()
    if path.name != "default" or not real.is_relative_to(paths.rooted("/etc/nginx/sites-available")):
        return False
    digest = hashlib.md5(real.read_bytes(), usedforsecurity=False).hexdigest()
    try:
        owner = tool(["dpkg-query", "--search", str(real)]).partition(":")[0]
        known = tool(["dpkg-query", "--show", "--showformat=${Conffiles}\n", owner])
    except AgentError:  # no package's
        return False
    return f"{real} {digest}" in " ".join(known.split())
