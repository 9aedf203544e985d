"""ufw: what our visitors need is opened, and closed again when they do not need it any more.

Only what was opened here is ever closed: a rule that somebody else has made stays.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Collection, Sequence

from . import files, paths, request, run
from .errors import AgentError
from .progress import say
from .request import Document
from .run import tool

Rule = list[str]
"""The arguments of ufw after `allow`."""

_OTHERS = ("firewalld.service", "nftables.service")


_TUPLE = re.compile(
    r"### tuple ### allow (?P<protocol>tcp|udp) (?P<port>\d+) (0\.0\.0\.0/0|::/0) any (?P<source>\S+) in\b"
)
"""A rule in ufw's own files."""


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
    """`become`, on a machine that its owner has closed; the rules that are ours now."""
    if not is_active():
        for unit in _OTHERS:
            if _is_running(unit):
                say(f"warning: {unit} is in use here: have it let visitors in on the ports 80 and 443")
        return []
    return become(rules, opened)


def become(
    rules: Sequence[Rule], opened: Sequence[Rule], note: Callable[[list[Rule]], None] = lambda _: None
) -> list[Rule]:
    """Have ufw, active or not, let visitors in by `rules`; those of them that are ours.

    `opened` are ours of an earlier run: what is not wanted any more is closed, but for the ports of sshd. `note` is
    told what may be ours before anything is done, so that a run that is killed leaves none that nobody knows of.
    """
    new = missing(rules)
    note([*opened, *(rule for rule in new if rule not in opened)])
    for rule in new:
        tool(["ufw", "allow", *rule])
        say(f"ufw lets in {' '.join(rule)}")
    if gone := [rule for rule in opened if rule not in rules]:
        close(gone, sparing=sshd_ports())
    return [rule for rule in rules if rule in opened or rule in new]


def missing(rules: Sequence[Rule]) -> list[Rule]:
    """Those that nobody has told ufw of yet."""
    here = _added()
    return [rule for rule in rules if meaning(rule) not in here]


def close(rules: Sequence[Rule], sparing: Collection[int] = ()) -> None:
    """Take rules of ours back, but for the ports in `sparing`."""
    if not rules or not paths.rooted("/etc/ufw/ufw.conf").exists():
        return
    here = _added()
    for rule in rules:
        _, port, _ = what = meaning(rule)
        if what not in here:  # somebody else did already
            continue
        if port in sparing:
            say(f"warning: ufw goes on to let in {' '.join(rule)}: sshd listens there")
            continue
        try:
            tool(["ufw", "--force", "delete", "allow", *rule])
            say(f"ufw does not let in {' '.join(rule)} any more")
        except AgentError as error:
            say(f"warning: {error}")


def of_script(script: str) -> list[Rule]:
    """What a script of ours (from `cloud-init/`) has ufw let in."""
    lines = [line.split(" comment ")[0] for line in script.splitlines() if line.startswith("ufw allow ")]
    return [shlex.split(line)[2:] for line in lines]


def sshd_ports() -> list[int]:
    """The ports that sshd listens on, by its own configuration."""
    files.folder(paths.rooted("/run/sshd"))
    lines = run.tool(["sshd", "-T"]).splitlines()
    return sorted({int(line.split()[1]) for line in lines if line.lower().startswith("port ")})


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


Meaning = tuple[str, int, str]
"""Protocol, port and source (empty: anywhere) of a rule, however it is written."""


def _added() -> set[Meaning]:
    """What ufw lets in to a port, by whomever it was told so, active or not; of other kinds of rules nothing."""
    lines = [line for line in tool(["ufw", "show", "added"]).splitlines() if line.startswith("ufw allow ")]
    found = set()
    for line in lines:
        with contextlib.suppress(ValueError, IndexError):
            found.add(meaning(shlex.split(line.split(" comment ")[0])[2:]))
    return found


def in_files() -> set[Meaning]:
    """The same by ufw's own files, which takes no time; only of a port that lets in from somewhere."""
    found = set()
    for name in ("user.rules", "user6.rules"):
        path = paths.rooted(f"/etc/ufw/{name}")
        for line in path.read_text().splitlines() if path.is_file() else ():
            match = _TUPLE.match(line)
            if match:
                source = "" if match["source"] in ("0.0.0.0/0", "::/0") else _network(match["source"])
                found.add((match["protocol"], int(match["port"]), source))
    return found


def meaning(rule: Rule) -> Meaning:
    """Raises `ValueError` or `IndexError` for a rule that is about anything else than a port and a source."""
    if len(rule) == 1:
        port, protocol = rule[0].split("/")
        return protocol, int(port), ""
    words = dict(zip(rule[::2], rule[1::2], strict=True))
    if words.pop("to", "any") != "any" or set(words) != {"proto", "from", "port"}:
        raise ValueError(rule)
    return words["proto"], int(words["port"]), _network(words["from"])


def _network(text: str) -> str:
    import ipaddress  # late: most rules are about no source, and whoever observes is to be quick

    return str(ipaddress.ip_network(text))


def _is_running(unit: str) -> bool:
    return tool(["systemctl", "show", "--property=ActiveState", "--value", unit]) == "active"
