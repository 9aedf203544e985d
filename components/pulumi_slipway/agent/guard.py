"""Whether this machine is still as closed as it was made, and its units are as they are to be; and putting that right.

What is wanted is what Slipway itself did here: the firewall's rules of its account, sshd's file of its script. On a
machine that is somebody's own, and that was not hardened, there is nothing of it to guard but the units. To tell it
takes some milliseconds: files are read, and sshd is asked what it makes of its own.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from . import access, adoption, files, firewall, paths, units
from .errors import AgentError
from .lock import held
from .progress import say
from .run import tool

_SSHD = "/etc/ssh/sshd_config.d/00-slipway.conf"
_HERE = re.compile(rf"^put 0600 {re.escape(_SSHD)} <<'END'\n(.*?\n)END$", re.MULTILINE | re.DOTALL)
_SAME = {"prohibit-password": "without-password"}
"""What sshd calls by an older name."""


def differing() -> list[str]:
    """What is not as it was made, each in some words; what cannot be looked at is not told."""
    found = []
    for part in (_units, _firewall, _sshd):
        with contextlib.suppress(AgentError, OSError):
            found += part()
    return found


def put_right() -> list[str]:
    """Have it as it was made; what was not so. The units are the claim's own."""
    found = [*_firewall(), *_sshd()]
    if not found:
        return []
    with held(adoption.LOCK, "putting the server right"):
        for what in found:
            say(f"putting right: {what}")
        _close_firewall()
        _close_sshd()
        for what in [*_firewall(), *_sshd()]:
            say(f"warning: {what}, also after it was put right: something else on this server overrules it")
    return found


# ---------------------------------------------------------------------------------------------------------- units


def _units() -> list[str]:
    if not units.are_installed():
        return []
    return [f"the unit {name} is not as it was written" for name in units.differing()]


# ------------------------------------------------------------------------------------------------------- firewall


def _firewall() -> list[str]:
    script = _script()
    if script is None or not paths.rooted("/etc/ufw/ufw.conf").exists():
        return []
    if not firewall.is_active():
        return ["the firewall (ufw) is off"]
    found = []
    if not _denies_by_default():
        found.append("the firewall (ufw) lets in by default what no rule is about")
    elif not _is_in_kernel():
        found.append("the firewall's rules (ufw) are not in the kernel")
    told = firewall.in_files()
    return found + [
        f"the firewall (ufw) does not let in {' '.join(rule)} any more"
        for rule in _rules()
        if firewall.meaning(rule) not in told
    ]


def _close_firewall() -> None:
    if _script() is None or not _firewall():
        return
    for rule in _rules():
        if firewall.meaning(rule) not in firewall.in_files():
            tool(["ufw", "allow", *rule])
    if not _denies_by_default():
        tool(["ufw", "default", "deny", "incoming"])
    if firewall.is_active() and not _is_in_kernel():
        firewall.turn_off()  # a reload finds its chains, and does not look whether anything leads to them
    if not firewall.is_active():
        tool(["ufw", "--force", "enable"])


def _rules() -> list[firewall.Rule]:
    if adoption.read() is None:
        return access.opened()
    return list((files.read_json(adoption.hardening()) or {}).get("opened", []))


def _denies_by_default() -> bool:
    return 'DEFAULT_INPUT_POLICY="DROP"' in paths.rooted("/etc/default/ufw").read_text().splitlines()


def _is_in_kernel() -> bool:
    lines = tool(["iptables", "-w", "-S", "INPUT"]).splitlines()
    return "-P INPUT DROP" in lines and "-A INPUT -j ufw-before-input" in lines


# ----------------------------------------------------------------------------------------------------------- sshd


def _sshd() -> list[str]:
    wanted = _wanted_sshd()
    if not wanted:
        return []
    place = paths.rooted(_SSHD)
    if not place.is_file():
        return [f"{_SSHD} is missing"]
    if place.read_text() != wanted:
        return [f"{_SSHD} was edited"]
    try:
        files.folder(paths.rooted("/run/sshd"))
        heard = dict(line.lower().split(maxsplit=1) for line in tool(["sshd", "-T"]).splitlines() if " " in line)
    except AgentError as error:
        return [f"sshd does not take its configuration: {error.tail[-1] if error.tail else error.message}"]
    found = []
    for line in wanted.lower().splitlines():
        key, value = line.split(maxsplit=1)
        # lists that are taken away from the version's own are not compared
        if not value.startswith("-") and heard.get(key) not in (value, _SAME.get(value)):
            found.append(f"sshd has {key} {heard.get(key)}, and not {value}")
    return found


def _close_sshd() -> None:
    wanted = _wanted_sshd()
    if not wanted or not _sshd():
        return
    place = paths.rooted(_SSHD)
    if not place.is_file() or place.read_text() != wanted:
        files.write_atomic(place, wanted.encode(), 0o600)
    tool(["sshd", "-t"])
    tool(["systemctl", "reload-or-restart", "ssh"])


def _wanted_sshd() -> str:
    script = _script()
    found = _HERE.search(script.read_text()) if script is not None else None
    return found[1] if found else ""


def _script() -> Path | None:
    """What closed this machine; None: nothing of ours did."""
    name = "bootstrap.sh"
    if adoption.read() is not None:
        state = files.read_json(adoption.hardening())
        if state is None or not state.get("confirmed"):
            return None
        name = "harden.sh"
    place = paths.state() / name
    return place if place.is_file() else None
