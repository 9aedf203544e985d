"""`ExistingServer`: a machine that somebody has already, reached by SSH. Nothing is made in any cloud."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_random as random
import pulumi_tls as tls

from ..bootstrap import DEPLOY_USER
from ..firewall import FirewallRule, FirewallRuleArgs, rules_with
from ..host import READY_TIMEOUT, Host
from ..remote import local_command, local_program
from .checks import check_url
from .common import Server
from .grantee import grantee
from .logins import check_address, check_private_key, check_user, parse_host_key

TRIAL = "taken back after 120 s unless fresh logins confirm it"


class ExistingServerArgs(TypedDict):
    """`address` and `host_key` are required, and `private_key` or `ssh_agent`."""

    address: str
    """IP address or host name."""
    host_key: str
    """The key that its sshd shows, one line as in authorized_keys or from ssh-keyscan; ed25519 or ECDSA.
    `python -m pulumi_slipway.hostkey ADDRESS` prints it for you to compare."""
    port: NotRequired[int]
    """Port of sshd; default: 22."""
    user: NotRequired[str]
    """Who logs in, and is root or may use sudo; default: "root"."""
    private_key: NotRequired[pulumi.Input[str]]
    """That user's private key (secret): OpenSSH text without a passphrase."""
    ssh_agent: NotRequired[bool]
    """Log in by the keys of the running ssh-agent instead; default: false."""
    sudo_password: NotRequired[pulumi.Input[str]]
    """The user's password (secret), where sudo asks for one."""
    harden: NotRequired[bool]
    """Close sshd (keys only) and the firewall (ufw) as on machines of Slipway's own, with automatic security updates.
    Taken back after 120 s unless fresh logins confirm it; default: false, who may reach the machine stays as it is."""
    other_sites: NotRequired[bool]
    """nginx there serves sites of somebody else's, which are left alone; default: false, such a machine is refused."""
    on_destroy: NotRequired[str]
    """"remove" (default): `pulumi destroy` gives the machine back as it was, but for packages, with the apps' data in
    the user's home. "keep": everything stays, and serves on."""
    firewall: NotRequired[Sequence[FirewallRuleArgs]]
    """Ports that are open besides those of sshd, 80 and 443, where a firewall is closed; default: none."""
    package_index: NotRequired[str]
    """URL of the Python package index that the server uses; default: as the machine is set up."""
    proxy: NotRequired[str]
    """URL of an HTTP proxy for the server's package clients; default: none."""
    ready_timeout: NotRequired[int]
    """Seconds that setting it up may take; default: 600."""


class ExistingServer(Server):
    """Somebody's machine as a server: Debian, Ubuntu or Raspberry Pi OS, with systemd, for amd64, arm64 or armhf.

    What is changed there is written down first, and taken back by `pulumi destroy`.
    """

    def __init__(self, name: str, args: ExistingServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        wanted = _check(args)
        super().__init__("slipway:index:ExistingServer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        owner = random.RandomId(f"{name}-owner", byte_length=8, opts=child).hex
        deploy = tls.PrivateKey(f"{name}-keys-deploy", algorithm="ED25519", opts=child)
        self.private_key = pulumi.Output.secret(deploy.private_key_openssh)
        if wanted.harden and pulumi.runtime.is_dry_run():
            for line in hardening(wanted):
                pulumi.log.info(f"{name}: {line}", self)
        # the machine may be installed anew or move: what is on it then follows by its changed connection
        identity = owner.apply(lambda digits: f"existing-{digits}")
        adopt = local_command(
            f"{name}-adopt",
            create=f"{local_program('adopt', 'claim')}  # {summary(wanted)}",
            delete=local_program("adopt", "give-back") if wanted.on_destroy == "remove" else None,
            document={
                "owner": owner,
                "address": wanted.address,
                "port": wanted.port,
                "user": wanted.user,
                "host_key": wanted.host_key,
                "private_key": pulumi.Output.from_input(args.get("private_key", "")).apply(_checked_key),
                "sudo_password": args.get("sudo_password", ""),
                "deploy_private": self.private_key,
                "deploy_public": deploy.public_key_openssh.apply(str.strip),
                "harden": wanted.harden,
                "other_sites": wanted.other_sites,
                "firewall": [_plain(rule) for rule in wanted.rules],
                "package_index": args.get("package_index"),
                "proxy": args.get("proxy"),
                "timeout": wanted.ready_timeout,
            },
            # Never replaced: another host key may be the same machine's, which a replacement would set up and then
            # give back. Another machine is set up; the one before stays as it is, its data with it.
            opts=child,
        )
        # Waits for the command, by its id: unlike what it prints, that is known in the preview of an update, which
        # would else show all that is on the machine as to be replaced.
        self.host = pulumi.Output.all(adopt.id, identity).apply(lambda known: wanted.host(known[1]))
        self.address = self.host["address"]
        # Apps give up what is theirs before the machine is given back; where everything is to stay, they stay, too.
        self.machine = adopt if wanted.on_destroy == "keep" else None
        self.grantee = pulumi.Output.from_input(grantee(address=wanted.address, private_address=wanted.address))
        self.register_outputs({"host": self.host, "address": self.address, "private_key": self.private_key})


@dataclass(frozen=True)
class Wanted:
    """The arguments with every default filled in, but for secrets."""

    address: str
    port: int
    user: str
    host_key: str
    harden: bool
    other_sites: bool
    on_destroy: str
    rules: Sequence[FirewallRule]
    ready_timeout: int

    def host(self, identity: str) -> Host:
        return Host(
            id=identity,
            name=self.address,
            address=self.address,
            private_address=self.address,
            port=self.port,
            user=DEPLOY_USER,
            host_key=self.host_key,
            proxy="",
        )


def summary(wanted: Wanted) -> str:
    """What a preview shows of the command that sets the machine up."""
    place = f"{wanted.user}@{wanted.address}:{wanted.port}"
    notes = [
        "hardened" if wanted.harden else "sshd and firewall as they are",
        "beside other sites" if wanted.other_sites else "",
        f"on destroy: {wanted.on_destroy}",
    ]
    return f"{place} ({', '.join(note for note in notes if note)})"


def hardening(wanted: Wanted) -> list[str]:
    """What `harden` changes, for people to read before it is done."""
    root = "by key only" if wanted.user == "root" else "not at all"
    ports = ["those of sshd", *(f"{rule.port}/{rule.protocol}" for rule in wanted.rules if rule.name != "ssh")]
    return [
        f"harden: sshd: users log in by key only, root {root}; no passwords, no forwarding ({TRIAL})",
        f"harden: ufw: lets in on these ports only: {', '.join(ports)} ({TRIAL})",
        "harden: security updates are installed automatically",
    ]


def _check(args: Mapping[str, Any]) -> Wanted:
    """Raises `ValueError` naming the argument, its value and the remedy."""
    address = check_address("address", args.get("address", ""))
    port, timeout, on_destroy = args.get("port", 22), args.get("ready_timeout", READY_TIMEOUT), args.get("on_destroy")
    if not 1 <= port <= 65535:
        raise ValueError(f"port: {port!r} is out of range; give sshd's, one of 1 to 65535")
    if timeout < 10:
        raise ValueError(f"ready_timeout: {timeout!r} seconds are too few; give at least 10")
    if on_destroy not in (None, "remove", "keep"):
        raise ValueError(
            f"on_destroy: {on_destroy!r} is neither remove (the machine is given back as it was) nor keep (all stays)"
        )
    _check_key(args)
    check_url("package_index", args.get("package_index"))
    check_url("proxy", args.get("proxy"))
    return Wanted(
        address=address,
        port=port,
        user=check_user("user", args.get("user", "root")),
        host_key=parse_host_key("host_key", args.get("host_key"), address if port == 22 else f"{address}:{port}"),
        harden=args.get("harden", False),
        other_sites=args.get("other_sites", False),
        on_destroy=on_destroy or "remove",
        rules=rules_with(args.get("firewall", ())),
        ready_timeout=timeout,
    )


def _check_key(args: Mapping[str, Any]) -> None:
    key, agent = args.get("private_key"), args.get("ssh_agent", False)
    if agent and key is not None:
        raise ValueError("ssh_agent: true, and a private_key is given, too; leave one of them out")
    if agent:
        if not os.environ.get("SSH_AUTH_SOCK"):
            raise ValueError(
                "ssh_agent: true, but no agent is running (SSH_AUTH_SOCK is not set); start one with "
                "`eval $(ssh-agent)` and `ssh-add` the key, or set private_key"
            )
        return
    if key is None:
        raise ValueError(
            "private_key: missing; give the key that logs in (pulumi config set --secret --path "
            "slipway:existing.private_key < FILE), or set ssh_agent to true"
        )
    if isinstance(key, str):
        check_private_key("private_key", key)


def _checked_key(text: str) -> str:
    """The same for a key that is only known later; empty: the agent's are used."""
    try:
        return check_private_key("private_key", text) if text else ""
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None


def _plain(rule: FirewallRule) -> dict[str, Any]:
    return {"name": rule.name, "port": rule.port, "protocol": rule.protocol, "sources": list(rule.sources)}
