"""From a description of a machine to its user data: pure functions over the templates in `cloud-init/`.

User data holds what a machine needs to be reachable, hardened and stocked with packages, and is never changed
afterwards. The only secret in it is the boot host key, which the ready step replaces.
"""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .firewall import DEFAULT_RULES, FirewallRule

if TYPE_CHECKING:
    from jinja2 import Environment

USER_DATA_LIMIT = 16 * 1024
"""Bytes. The smallest limit of all targets: EC2 refuses more than 16384 before base64, Linode about as much."""

ALWAYS_FITS = 2048
"""Characters of keys, firewall rules and addresses of which user data are never too large."""

HARDENING_PACKAGES = ("ufw", "unattended-upgrades")

PACKAGES = (
    "ca-certificates",
    "git",
    "logrotate",
    "nginx",
    "openssl",
    "python3",
    "python3-venv",
    "sudo",
    "supervisor",
    "ufw",
    "unattended-upgrades",
)

BOOTSTRAP_VERSION = 1
DEPLOY_USER = "deploy"
NO_PROXY = "localhost,127.0.0.1"
_PACKAGE_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class HostKeyPair:
    """An SSH host key: `private` in OpenSSH or PEM form, `public` as one authorized_keys line."""

    private: str
    public: str


@dataclass(frozen=True)
class Machine:
    """What the user data of one machine depends on."""

    hostname: str
    boot_host_key: HostKeyPair
    deploy_keys: Sequence[str]
    """Public keys that may log in as `deploy`, one authorized_keys line each."""
    admin_keys: Sequence[str] = ()
    """Public keys of people, who log in as `admin` and may sudo everything; none: no such user."""
    firewall: Sequence[FirewallRule] = DEFAULT_RULES
    package_index: str | None = None
    """URL of the Python package index that the server uses; default: the one its image is set up for."""
    proxy: str | None = None
    """URL of the HTTP proxy through which the server reaches package indexes; default: none."""
    no_proxy: str = NO_PROXY
    packages: Sequence[str] = field(default=PACKAGES)


class UserDataTooLargeError(ValueError):
    """The rendered user data is over `USER_DATA_LIMIT`."""


def render_user_data(machine: Machine) -> str:
    """The cloud-config of `machine`; its first line is `#cloud-config`.

    Raises `UserDataTooLargeError` naming the size, the limit and what can be made smaller.
    """
    text = (
        _templates()
        .get_template("cloud-config.yaml.j2")
        .render(
            hostname=machine.hostname,
            boot_host_key=machine.boot_host_key,
            logins=_logins(machine),
            script=render_bootstrap_script(machine),
        )
    )
    return _fitting(text, machine)


def render_launch_script(machine: Machine) -> str:
    """One line of shell that does what the cloud-config of `machine` does, for Lightsail.

    Its user data are "handled differently than ec2 ... only accepts a single lined string" (the documentation of
    `aws_lightsail_instance`). Raises `UserDataTooLargeError` as `render_user_data` does.
    """
    script = (
        _templates()
        .get_template("launch.sh.j2")
        .render(
            hostname=machine.hostname,
            boot_host_key=machine.boot_host_key,
            script=render_bootstrap_script(machine),
        )
    )
    return _fitting(f"echo {_gzip_base64(script)} | base64 -d | gzip -d | /bin/sh", machine)


def render_bootstrap_script(machine: Machine) -> str:
    """The shell script that cloud-config carries, and that targets without cloud-config run as it is."""
    return _render_script(
        logins=_logins(machine),
        environment=_client_environment(machine.package_index, machine.proxy, machine.no_proxy),
        apt_proxy=machine.proxy,
        packages=machine.packages,
        firewall=machine.firewall,
        fresh=True,
        own_nginx=True,
        root_login=False,
    )


@dataclass(frozen=True)
class Guesthouse:
    """A machine that somebody has already, where Slipway is a guest: what the scripts for it depend on."""

    other_sites: bool = False
    """Others' sites are served there by nginx: its own configuration stays as it is."""
    harden: bool = False
    root_login: bool = False
    """The owner logs in as root, and shall go on to."""
    firewall: Sequence[FirewallRule] = DEFAULT_RULES
    package_index: str | None = None
    proxy: str | None = None


def render_adoption_script(machine: Guesthouse) -> str:
    """The bootstrap script for a machine that somebody has already: all of it but what decides who may reach it."""
    hardening = () if machine.harden else HARDENING_PACKAGES
    return _render_script(
        logins=[_Login(DEPLOY_USER, "Slipway releases", ())],  # its keys, of one stack or several, are the agent's care
        environment=_client_environment(machine.package_index, machine.proxy),
        apt_proxy=machine.proxy,
        packages=[package for package in PACKAGES if package not in hardening],
        firewall=machine.firewall,
        fresh=False,
        own_nginx=not machine.other_sites,
        root_login=machine.root_login,
    )


def render_hardening_script(machine: Guesthouse) -> str:
    """What closes sshd and the firewall of such a machine, and can lock its owner out; run only when asked for."""
    template = _templates().get_template("harden.sh.j2")
    return template.render(firewall=machine.firewall, fresh=False, root_login=machine.root_login)


def check_user_data_fits(
    admin_keys: Sequence[str],
    firewall: Sequence[FirewallRule] = DEFAULT_RULES,
    package_index: str | None = None,
    proxy: str | None = None,
) -> None:
    """Renders with keys of real length, so that oversized user data is refused before any key is made."""
    if len("".join([*admin_keys, *(rule.ufw() for rule in firewall), package_index or "", proxy or ""])) <= ALWAYS_FITS:
        return  # as nearly always; rendering is a tenth of what a program does before it asks the engine for anything
    stand_in = HostKeyPair(private="x" * 520, public="ecdsa-sha2-nistp256 " + "x" * 160)
    render_user_data(
        Machine(
            hostname="x" * 63,
            boot_host_key=stand_in,
            deploy_keys=["ssh-ed25519 " + "x" * 80],
            admin_keys=admin_keys,
            firewall=firewall,
            package_index=package_index,
            proxy=proxy,
        )
    )


def _fitting(text: str, machine: Machine) -> str:
    size = len(text.encode())
    if size > USER_DATA_LIMIT:
        raise UserDataTooLargeError(
            f"user data of {machine.hostname!r} is {size} bytes, over the limit of {USER_DATA_LIMIT}: "
            f"shorten admin_keys ({len(machine.admin_keys)} keys) or firewall ({len(machine.firewall)} rules)"
        )
    return text


@dataclass(frozen=True)
class _Login:
    """A user who logs in by key; an administrator may sudo everything."""

    name: str
    comment: str
    public_keys: Sequence[str]
    administrator: bool = False


def _logins(machine: Machine) -> list[_Login]:
    logins = [_Login(DEPLOY_USER, "Slipway releases", machine.deploy_keys)]
    if machine.admin_keys:
        logins.append(_Login("admin", "Administrators of this server", machine.admin_keys, administrator=True))
    return logins


def _client_environment(package_index: str | None, proxy: str | None, no_proxy: str = NO_PROXY) -> dict[str, str]:
    environment: dict[str, str] = {}
    if package_index:
        environment |= {"PIP_INDEX_URL": package_index, "UV_DEFAULT_INDEX": package_index}
    if proxy:
        environment |= {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": no_proxy}
    return environment


def _render_script(**values: object) -> str:
    template = _templates().get_template("bootstrap.sh.j2")
    return template.render(
        agent_stub=(_templates_folder() / "agent-stub.py").read_text().rstrip("\n"),
        swap_below_mib=1200,
        swap_mib=1024,
        version=BOOTSTRAP_VERSION,
        **values,
    )


@cache
def _templates_folder() -> Path:
    """`cloud-init/` beside the package in a wheel, at the top of the project in a checkout or editable install."""
    for folder in (_PACKAGE_FOLDER / "cloud-init", _PACKAGE_FOLDER.parents[1] / "cloud-init"):
        if (folder / "bootstrap.sh.j2").is_file():
            return folder
    raise FileNotFoundError(f"the folder cloud-init is missing from this installation of {_PACKAGE_FOLDER}")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # while a program waits for its plug-ins

    environment = Environment(  # noqa: S701 - shell and YAML, quoted by the filters below, not HTML
        loader=FileSystemLoader(_templates_folder()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "shell": shlex.quote,
        "heredoc": _heredoc,
        "gzip_base64": _gzip_base64,
    }
    return environment


def _heredoc(value: str) -> str:
    """`value` for an unquoted here-document, where the shell still expands `$`, backquote and backslash."""
    return value.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")


def _gzip_base64(text: str) -> str:
    """Deterministic (no timestamp), so that the same machine always has the same user data."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()
