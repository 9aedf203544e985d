"""The files of a site on the server, rendered from what is known of it: pure functions.

The text is the same for every version of the server's programs; what depends on one (`http2`, curves, IPv6) the agent
puts into snippets that these files include. So a preview can compare the files with those on the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).resolve().parent / "templates"

STOP_MARGIN = 10
"""Seconds that supervisor waits on top of gunicorn's graceful time before it kills."""


@dataclass(frozen=True)
class ManagedFile:
    """A file on the server that nobody but Slipway writes."""

    content: str
    mode: int = 0o644

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class SiteSpec:
    """What the files of a site depend on."""

    app: str
    domains: Sequence[str] = ()
    """Host names that it answers to."""
    addresses: Sequence[str] = ()
    """IP addresses that it answers to, for visitors who use no name."""
    static_url: str | None = None
    """Where its static files are served, as "/static/"; None: it has none."""
    static_max_age: int = 3600
    """Seconds that visitors may keep a static file whose name holds no digest."""
    media_url: str | None = None
    """Where uploaded files are served, as "/media/"; None: nginx does not."""
    media_folder: str = "media"
    """Their folder in the app's `shared`."""
    client_max_body: str = "10m"
    """The largest upload (nginx's notation)."""
    threads: int = 4
    """Threads of each worker."""
    timeout: int = 30
    """Seconds after which gunicorn takes a silent worker for hung."""
    graceful_timeout: int = 30
    """Seconds that requests get to finish when a process is told to stop."""
    max_workers: int | None = None
    """Upper limit of workers; None: as CPUs and memory allow."""

    @property
    def variable(self) -> str:
        """The app's name as a part of a variable of nginx."""
        return self.app.replace("-", "_")


def render_site(site: SiteSpec) -> dict[str, ManagedFile]:
    """The managed files of a site: path on the server → content and mode. Raises `ValueError` for a site without
    any name or address."""
    names = [*site.domains, *(_server_name(address) for address in site.addresses)]
    if not names:
        raise ValueError(f"{site.app}: a site needs a domain or an address")
    # A site's file is named to come last: where nobody says "default_server", the first one is the default, and on a
    # server with others' sites it shall not be ours.
    values = {"site": site, "names": names, "stop_wait": site.graceful_timeout + STOP_MARGIN}
    return {
        "/etc/nginx/conf.d/00-slipway.conf": ManagedFile(_render("nginx-common.conf.j2", {})),
        f"/etc/nginx/sites-enabled/zz-slipway-{site.app}.conf": ManagedFile(_render("nginx-site.conf.j2", values)),
        f"/etc/supervisor/conf.d/{site.app}.conf": ManagedFile(_render("supervisor.conf.j2", values)),
        f"/etc/slipway/apps/{site.app}/gunicorn.conf.py": ManagedFile(_render("gunicorn.conf.py.j2", values)),
    }


def _server_name(address: str) -> str:
    """An address as browsers put it in the Host header."""
    return f"[{address}]" if ip_address(address).version == 6 else address


def _render(name: str, values: Mapping[str, object]) -> str:
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # while a program waits for its plug-ins

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (configuration files, not HTML)
    )
