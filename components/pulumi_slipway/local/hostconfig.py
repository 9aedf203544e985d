"""What machines take over from their host so that they reach the same package registries in the same way."""

from __future__ import annotations

import configparser
import ipaddress
import json
import os
import pwd
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pulumi_slipway.local import requirements
from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.process import run, succeeds

CA_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
CA_FOLDER: Final = "/usr/local/share/ca-certificates"

# systemd-resolved's own address is the host's loopback; this file has the servers that it asks
_RESOLV_CONFS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def resolv_conf() -> str:
    """The host's resolv.conf without the name servers that only the host itself can reach.

    Raises `LocalError` when none is left: a machine must not depend on a service of its host.
    """
    own = os.environ.get("SLIPWAY_LOCAL_NAMESERVERS", "").split()
    if own:
        return "".join(f"nameserver {server}\n" for server in own)
    for path in _RESOLV_CONFS:
        if path.exists():
            text = path.read_text()
            if nameservers(text):
                return reachable_resolv_conf(text)
    raise LocalError(
        "the host asks only itself for names (every nameserver of /etc/resolv.conf is a loopback address), where "
        "machines cannot ask: set SLIPWAY_LOCAL_NAMESERVERS to the addresses of name servers, parted by spaces"
    )


def reachable_resolv_conf(text: str) -> str:
    """`text` of a resolv.conf without its loopback name servers and without the options of the stub resolver."""
    good = set(nameservers(text))
    kept = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] in (["search"], ["domain"]) or (words[:1] == ["nameserver"] and words[1] in good):
            kept.append(line)
    return "\n".join(kept) + "\n"


def nameservers(text: str) -> list[str]:
    """The IPv4 name servers in the `text` of a resolv.conf that are reachable from outside the host."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1])
        except ValueError:
            continue  # an IPv6 address with a zone: machines have no IPv6 route
        if address.version == 4 and not address.is_loopback:
            found.append(words[1])
    return found


def apt_sources(codename: str) -> str:
    """The Debian sources of the host, for the Debian release `codename`, as a deb822 file.

    Empty where the host is no Debian: mmdebstrap then uses Debian's usual ones.
    """
    release = _os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        return ""
    # Without the downloaded lists, whose presence would change what apt says
    with tempfile.TemporaryDirectory() as lists:
        listing = run(["apt-get", "update", "--print-uris", f"--option=Dir::State::Lists={lists}"])
    return debian_sources(listing, release["VERSION_CODENAME"], codename)


def debian_sources(listing: str, host_codename: str, codename: str) -> str:
    """deb822 stanzas from what `apt-get update --print-uris` says (`listing`) on a Debian of `host_codename`.

    Taken are the component `main` of the release, its updates and its security updates. Others' repositories often have
    a suite of the release's name too; Debian's are those with updates beside it, or else the first one.
    """
    keyring = requirements.keyring() or requirements.KEYRINGS[0]
    pattern = rf"'(\S+)/dists/{re.escape(host_codename)}(|-updates|-security)/main/binary-"
    found = dict.fromkeys(re.findall(pattern, listing))
    updated = {uri for uri, suffix in found if suffix == "-updates"}
    debian = updated or {uri for uri, suffix in list(found)[:1]}
    return "\n".join(
        f"Types: deb\nURIs: {uri}/\nSuites: {codename}{suffix}\nComponents: main\nSigned-By: {keyring}\n"
        for uri, suffix in found
        if uri in debian or suffix == "-security"
    )


def apt_options() -> list[str]:
    """The host's apt settings of how to fetch (proxies, TLS, date checks), one `name "value";` each."""
    if not succeeds(["apt-config", "dump"]):
        return []
    wanted = re.compile(r"Acquire::(https?|Check-Date|Check-Valid-Until|Retries|ForceIPv4|ForceIPv6)\b.*\".+\";$")
    return [line for line in run(["apt-config", "dump"]).splitlines() if wanted.match(line)]


def ca_certificates() -> dict[str, str]:
    """The certificates that were added to the host's trust, by file name."""
    return {path.name: path.read_text() for path in sorted(Path(CA_FOLDER).glob("*.crt"))}


def client_files() -> dict[str, str]:
    """Files for a machine, path → text, that set its package clients up as the host's are.

    What is under `/root` is for the machine's root alone: a password for an index that only the operator can read here.
    Applications are built by a user of their own, who does without it: `package_index` is for them.
    """
    trust = bool(ca_certificates())
    environment = client_environment(os.environ, trust=trust)
    files = {}
    for shared, private, render, sources, variables in (
        ("/etc/pip.conf", "/root/.config/pip/pip.conf", pip_conf, _pip_confs(), "PIP_"),
        ("/etc/uv/uv.toml", "/root/.config/uv/uv.toml", _first_uv_toml, _uv_tomls(), "UV_"),
    ):
        own = {name: value for name, value in os.environ.items() if name.startswith(variables)}
        files[shared] = render(
            [source.text for source in sources if not source.secret],
            {name: value for name, value in own.items() if not has_password(value)},
            trust=trust,
        )
        files[private] = render([source.text for source in sources], own, trust=trust)
        if files[private] == files[shared]:
            del files[private]
    if environment:
        lines = "".join(f"{name}={json.dumps(value)}\n" for name, value in environment.items())
        files["/etc/environment"] = lines
        # The same for services (cloud-init runs as one), which do not read that file
        quoted = " ".join(json.dumps(f"{name}={value}".replace("%", "%%")) for name, value in environment.items())
        files["/etc/systemd/system.conf.d/10-slipway-local.conf"] = f"[Manager]\nDefaultEnvironment={quoted}\n"
    for path in Path("/etc/apt/auth.conf.d").glob("*.conf"):
        files[str(path)] = path.read_text()
    return {path: text for path, text in files.items() if text}


@dataclass(frozen=True)
class Source:
    """A settings file of a package client on the host."""

    text: str
    secret: bool
    """Whether it holds a password and is not for everybody to read here."""


def has_password(text: str) -> bool:
    """Whether a URL in `text` has a user or password in it."""
    return re.search(r"://[^/\s\"']*@", text) is not None


def _source(path: Path) -> Source:
    text = path.read_text()
    # A home folder is private, whatever the mode of a file in it
    public = path.is_relative_to("/etc") and path.stat().st_mode & 0o004
    return Source(text, secret=has_password(text) and not public)


def client_environment(environ: Mapping[str, str], *, trust: bool) -> dict[str, str]:
    """Variables for every process of a machine: the host's proxies and, with extra CAs (`trust`), the CA bundle."""
    names = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
    found = {name: value for name, value in sorted(environ.items()) if name.lower() in names and value}
    if trust:
        # Clients that carry a bundle of their own do not look at the system's
        found |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), CA_BUNDLE)
    return found


def pip_conf(texts: list[str], environ: Mapping[str, str], *, trust: bool) -> str:
    """A pip.conf with what the host's pip settings (`texts`, the last wins; then PIP_ variables) say of indexes."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "proxy")
    found: dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key: value for key, value in parser.items(section) if key in wanted and value}
    for key in wanted:
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            found[key] = value
    if trust:
        found["cert"] = CA_BUNDLE
    if not found:
        return ""
    return "[global]\n" + "".join(f"{key} = {found[key]}\n" for key in sorted(found))


def uv_toml(text: str, environ: Mapping[str, str], *, trust: bool) -> str:
    """A uv.toml: the host's own (`text`), its UV_ index variables, and with extra CAs the system's trust."""
    known = tomllib.loads(text)
    added = []
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index and not {"index-url", "index"} & known.keys():
        added.append(f"index-url = {json.dumps(index)}\n")
    if trust and "native-tls" not in known:
        added.append("native-tls = true\n")
    return "".join(added) + text  # first, since keys after a table header would belong to the table


def _pip_confs() -> list[Source]:
    paths = [Path("/etc/pip.conf"), *(home / ".config/pip/pip.conf" for home in _homes())]
    if os.environ.get("PIP_CONFIG_FILE"):
        paths.append(Path(os.environ["PIP_CONFIG_FILE"]))
    return [_source(path) for path in paths if path.is_file()]


def _first_uv_toml(texts: list[str], environ: Mapping[str, str], *, trust: bool) -> str:
    return uv_toml(texts[0] if texts else "", environ, trust=trust)


def _uv_tomls() -> list[Source]:
    """The uv.toml files of the host, the one that counts first."""
    paths = [home / ".config/uv/uv.toml" for home in _homes()] + [Path("/etc/uv/uv.toml")]
    if os.environ.get("UV_CONFIG_FILE"):
        paths.insert(0, Path(os.environ["UV_CONFIG_FILE"]))
    return [_source(path) for path in paths if path.is_file()]


def _homes() -> Iterator[Path]:
    """The home of whoever called: under sudo that is not root's."""
    user = os.environ.get("SUDO_USER")
    try:
        yield Path(pwd.getpwnam(user).pw_dir) if user else Path.home()
    except KeyError:
        return


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip('"') for name, _, value in pairs}
