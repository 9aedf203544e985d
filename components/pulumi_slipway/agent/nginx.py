"""nginx: what depends on its version, its own test of a configuration, and reloading it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from . import adoption, files, paths
from .errors import AgentError
from .run import tool
from .undo import Content

_RELOAD_WITHIN = 10.0

# Mozilla's guideline 6.0, "intermediate"
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)

Version = tuple[int, ...]

_NO_DEFAULT = "# Others' sites are served here: which of them is the default is not ours to say.\n"
# A request for a name that no site has is closed without an answer.
_DEFAULT_SERVERS = """\
server {
    include /etc/nginx/slipway/listen-80-default.conf;
    server_name _;
    server_tokens off;
    access_log off;
    return 444;
}
server {
    include /etc/nginx/slipway/listen-443-default.conf;
    include /etc/nginx/slipway/tls.conf;
    include /etc/nginx/slipway/tls-default.conf;
    server_name _;
    server_tokens off;
    access_log off;
    return 444;
}
"""


@cache
def version() -> Version:
    return _version(tool(["nginx", "-v"]), r"nginx/([\d.]+)")


@cache
def openssl_version() -> Version:
    return _version(tool(["openssl", "version"]), r"OpenSSL ([\d.]+)")


def has_brotli() -> bool:
    """Whether its module that sends what was compressed beforehand is there: a package of its own, and no need."""
    return any(paths.rooted("/etc/nginx/modules-enabled").glob("*brotli-static*"))


def _has_gzip_static() -> bool:
    return "http_gzip_static_module" in tool(["nginx", "-V"])


def snippets(
    nginx: Version,
    openssl: Version,
    ipv6: bool,
    default_certificate: Path | None,
    other_sites: bool = False,
    compressed: Sequence[str] = (),
) -> dict[str, str]:
    """What site files include, by name: the text that fits these versions.

    `default_certificate` is the folder of the certificate for visitors who name no host in the TLS handshake, as
    those of an IP address do; without one they are turned away before anything is said. Beside `other_sites` there
    are no default servers of ours. `compressed`: the kinds of compressed files that it can send.
    """
    http2 = nginx >= (1, 25, 1)

    def listen(port: int, options: str) -> str:
        places = [str(port), f"[::]:{port}"] if ipv6 else [str(port)]
        return "".join(f"listen {place}{options};\n" for place in places)

    secure = " ssl" if http2 else " ssl http2"
    http2_on = "http2 on;\n" if http2 else ""
    groups = ["X25519", "prime256v1", "secp384r1"]
    if openssl >= (3, 5):
        groups.insert(0, "X25519MLKEM768")
    if default_certificate is None:
        default_tls = "ssl_reject_handshake on;\n"
    else:
        default_tls = (
            f"ssl_certificate {default_certificate}/cert.pem;\nssl_certificate_key {default_certificate}/key.pem;\n"
        )
    return {
        "listen-80.conf": listen(80, ""),
        "listen-443.conf": listen(443, secure) + http2_on,
        "listen-80-default.conf": listen(80, " default_server"),
        "listen-443-default.conf": listen(443, f"{secure} default_server") + http2_on,
        "default-servers.conf": _NO_DEFAULT if other_sites else _DEFAULT_SERVERS,
        "tls-default.conf": default_tls,
        "tls.conf": (
            "ssl_protocols TLSv1.2 TLSv1.3;\n"
            f"ssl_ciphers {_CIPHERS};\n"
            f"ssl_ecdh_curve {':'.join(groups)};\n"
            "ssl_prefer_server_ciphers off;\n"
            "ssl_session_timeout 1d;\n"
            "ssl_session_cache shared:slipway:10m;\n" + ("ssl_session_tickets off;\n" if nginx < (1, 23, 2) else "")
        ),
        "static.conf": "".join(f"{kind}_static on;\n" for kind in compressed) or "# nothing that this nginx can do\n",
        # Kept-alive connections to the old slot would go on serving the old release after the switch.
        "upstream.conf": "keepalive 0;\n" if nginx >= (1, 29, 7) else "# nothing needed for this nginx\n",
    }


def wanted_snippets(app: str, by_address: bool | None) -> dict[Path, Content | None]:
    """The snippets of this server when `app` answers by an IP address, or does not, or (None) is gone.

    With no app left there are none.
    """
    apps = {name: answers for name, answers in _apps_by_address().items() if name != app}
    if by_address is not None:
        apps[app] = by_address
    default = next((paths.tls(name) for name, answers in sorted(apps.items()) if answers), None)
    ipv6 = Path("/proc/net/if_inet6").exists()
    compressed = [kind for kind, there in (("gzip", _has_gzip_static()), ("brotli", has_brotli())) if there]
    texts = snippets(version(), openssl_version(), ipv6, default, adoption.other_sites(), compressed)
    wanted: dict[Path, Content | None] = {}
    for name, text in texts.items():
        data = f"# Written by Slipway's agent for this version of nginx.\n{text}".encode()
        wanted[_folder() / name] = Content(data) if apps else None
    return wanted


def forget_app(app: str) -> None:
    """The snippets without an app that is being removed: its certificate is about to go."""
    for path, content in wanted_snippets(app, None).items():
        if content is None:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != content.data:
            files.write_atomic(path, content.data, content.mode)
    if _folder().is_dir() and not any(_folder().iterdir()):
        _folder().rmdir()


def refresh() -> None:
    """The snippets as they are to be now, for the apps that there are."""
    forget_app("")
    test()
    reload()


def test() -> None:
    """Raises `AgentError` with nginx's own words when its configuration is invalid."""
    tool(["nginx", "-t", "-q"])


def reload() -> None:
    """Have nginx take up its (valid) configuration, and see that it did."""
    if tool(["systemctl", "show", "--property=ActiveState", "--value", "nginx"]) != "active":
        tool(["systemctl", "restart", "nginx"])
        return
    before = _workers()
    tool(["systemctl", "reload", "nginx"])
    if not before:  # a kernel that does not tell
        return
    deadline = time.monotonic() + _RELOAD_WITHIN
    while not _workers() - before or any(_accepts(worker) for worker in before):
        if time.monotonic() > deadline:
            log = files.last_lines(paths.rooted("/var/log/nginx/error.log"), lines=5)
            raise AgentError("nginx did not take up its new configuration; the old one goes on serving", log)
        time.sleep(0.02)


def _apps_by_address() -> dict[str, bool]:
    """The apps with a site, and whether they answer by an IP address."""
    found = {}
    for place in paths.rooted("/srv").glob("*/site.json"):
        record = files.read_json(place)
        if record is not None and paths.AppPaths(place.parent.name).claim.exists():
            found[place.parent.name] = bool(record.get("addresses"))
    return found


def _workers() -> set[int]:
    try:
        master = int(paths.rooted("/run/nginx.pid").read_text())
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
    except (OSError, ValueError):
        return set()
    return {int(pid) for pid in children.split()}


def _accepts(worker: int) -> bool:
    """Whether a worker still takes connections: one that was told to end says so in its title."""
    try:
        return b"shutting down" not in Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return False


def _folder() -> Path:
    return paths.rooted("/etc/nginx/slipway")


def _version(text: str, pattern: str) -> Version:
    match = re.search(pattern, text)
    if match is None:
        raise AgentError(f"no version to be found in {text!r}")
    return tuple(int(part) for part in match[1].rstrip(".").split("."))
