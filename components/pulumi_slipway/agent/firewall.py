"""ufw on a machine that its owner has closed already: what our visitors need is opened, and closed again at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from . import paths, request
from .errors import AgentError
from .progress import say
from .request import Document
from .run import tool

Rule = list[str]
"""The arguments of ufw after `allow`."""

_OTHERS = ("firewalld.service", "nftables.service")


def read_rules(document: Document) -> list[Rule]:
    """The `rules` of a request: objects with `port`, `protocol` and `sources` (none: anywhere)."""
    found = document.get("rules") or []
    if not isinstance(found, list):
        raise AgentError("request: 'rules' must be a list")
    rules: list[Rule] = []
    for entry in found:
        port, protocol = request.integer(entry, "port"), request.text(entry, "protocol", "tcp")
        sources = request.texts(entry, "sources")
        if not sources:
            rules.append([f"{port}/{protocol}"])
        rules += [["proto", protocol, "from", source, "to", "any", "port", str(port)] for source in sources]
    return rules


def is_active() -> bool:
    """Whether ufw closes this machine; it says so in its own settings, in one language."""
    try:
        return "ENABLED=yes" in paths.rooted("/etc/ufw/ufw.conf").read_text().splitlines()
    except FileNotFoundError:
        return False


def open_only(rules: Sequence[Rule], opened: Sequence[Rule]) -> list[Rule]:
    """Let visitors through a ufw that is active; the rules that are ours now.

    `opened` are those of an earlier run: what is not wanted any more is closed. A rule that the owner has is not ours.
    """
    if not is_active():
        for unit in _OTHERS:
            if _is_running(unit):
                say(f"warning: {unit} is in use here: have it let visitors in on the ports 80 and 443")
        return []
    close([rule for rule in opened if rule not in rules])
    added = [rule for rule in opened if rule in rules]
    for rule in rules:
        before = _rules()
        tool(["ufw", "allow", *rule])
        if _rules() != before:
            say(f"ufw lets in {' '.join(rule)}")
            added.append(rule)
    return added


def close(rules: Sequence[Rule]) -> None:
    """Take rules of ours back."""
    for rule in rules if paths.rooted("/etc/ufw/ufw.conf").exists() else ():
        try:
            tool(["ufw", "--force", "delete", "allow", *rule])
        except AgentError as error:  # somebody else did already
            say(f"warning: {error}")


def turn_off() -> None:
    """ufw off, and its chains out of the kernel: it leaves them there, empty, until the next boot."""
    if not paths.rooted("/etc/ufw/ufw.conf").exists():
        return
    tool(["ufw", "--force", "disable"])
    for program in ("iptables", "ip6tables"):
        with contextlib.suppress(AgentError):  # a kernel without IPv6
            lines = [line.split() for line in tool([program, "-w", "-S"]).splitlines()]
            own = [line[1] for line in lines if line[0] == "-N" and line[1].startswith(("ufw-", "ufw6-"))]
            for _, chain, *rule in (line for line in lines if line[0] == "-A"):
                if rule[-2:-1] == ["-j"] and rule[-1] in own and chain not in own:
                    tool([program, "-w", "-D", chain, *rule])
            for option in ("-F", "-X"):
                for chain in own:
                    tool([program, "-w", option, chain])


def _rules() -> list[bytes]:
    return [paths.rooted(f"/etc/ufw/{name}").read_bytes() for name in ("user.rules", "user6.rules")]


def _is_running(unit: str) -> bool:
    return tool(["systemctl", "show", "--property=ActiveState", "--value", unit]) == "active"
