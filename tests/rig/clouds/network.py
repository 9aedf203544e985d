"""Public addresses, and packet filters in front of the machines of an account.

A public address (203.0.113.0/24, the documentation's) is one that nobody on this host has: the kernel's own routes are
the list of what is taken, so that accounts never meet. Nor is it that of a package index: there are networks in which
one has such an address, and all of the host would lose it. It is mapped to a machine by destination translation, for
the host and for machines. The host uses it as `OPERATOR`, an address of its own far from the machines' network, so that
a rule which admits private networks does not admit the host.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import re
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from . import host
from .account import Account, CloudError, file_lock
from .filters import Chains, Opening, render

__all__ = ["OPERATOR", "Opening", "addresses_of", "assign", "close_filter", "open_filter", "release", "reserve",
           "set_filter", "unassign"]  # fmt: skip

OPERATOR: Final = "198.51.100.1"
"""The address from which this host reaches public addresses: the operator's, somewhere in the internet."""

_PUBLIC: Final = "203.0.113"
_LOCK: Final = Path(__file__).resolve().parents[3] / "uv.lock"
_APT: Final = Path("/etc/apt")
_RESERVED_METRIC: Final = 20000  # a route that counts as long as there is no better one
_BRIDGE_CALLS: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def reserve(account: Account) -> str:
    """A public address (203.0.113.0/24) that nobody on this host has; nothing answers there until it is assigned."""
    with _host_lock():
        taken = {route["dst"] for route in _routes()} | _addresses_of_indexes()
        free = [address for address in (f"{_PUBLIC}.{n}" for n in range(1, 255)) if address not in taken]
        if not free:
            raise CloudError(f"all addresses of {_PUBLIC}.0/24 are reserved by accounts on this host")
        address = random.choice(free)  # so that one that was just given back is not the next
        with account.change() as data:
            data["addresses"][address] = {"machine": "", "since": 0}
        _route(account)
    return address


@functools.cache
def _addresses_of_indexes() -> frozenset[str]:
    """Where this host finds the package indexes that this project and the host's apt name."""
    texts = [path.read_text() for path in (_LOCK, *sorted(_APT.glob("*.list")), *sorted(_APT.glob("**/*.sources")))]
    names = {name for text in texts for name in re.findall(r"https?://([a-zA-Z0-9.-]+)", text)}
    found = set()
    for name in names:
        with contextlib.suppress(OSError):
            found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, socket.AF_INET)}
    return frozenset(found)


def assign(account: Account, address: str, machine: str) -> None:
    """Map a reserved address to a machine (its name), away from any other; a machine may have several."""
    since = account.next("assignment")
    with account.change() as data:
        if address not in data["addresses"]:
            raise CloudError(f"the address {address} is not reserved in this account")
        if machine not in data["machines"]:
            raise CloudError(f"there is no machine {machine} in this account")
        data["addresses"][address] = {"machine": machine, "since": since}
    apply(account)


def unassign(account: Account, address: str) -> None:
    """Map the address to nothing; it stays reserved."""
    with account.change() as data:
        if address in data["addresses"]:
            data["addresses"][address] = {"machine": "", "since": 0}
    apply(account)


def release(account: Account, address: str) -> None:
    """Give the address back; an absent one is fine."""
    unassign(account, address)
    with _host_lock():
        with account.change() as data:
            known = data["addresses"].pop(address, None)
        if known is not None:
            for route in _routes():
                if route["dst"] == address:
                    _forget(route)
        if not _routes():
            host.succeeds(["ip", "addr", "del", f"{OPERATOR}/32", "dev", "lo"])
    apply(account)


def addresses_of(account: Account, machine: str) -> list[str]:
    """The public addresses of a machine, the oldest assignment first."""
    entries = account.read()["addresses"].items()
    mine = [(entry["since"], address) for address, entry in entries if entry["machine"] == machine]
    return [address for _, address in sorted(mine)]


def set_filter(
    account: Account, machine: str, incoming: Sequence[Opening] | None, outgoing: Sequence[Opening] | None = None
) -> None:
    """Let new connections to a machine pass that an opening admits, and no other; None: everything passes.

    Replies always pass. `outgoing` is the same for connections that the machine begins (its metadata excepted).
    """
    _change_filter(account, machine, incoming=as_data(incoming), outgoing=as_data(outgoing))


def open_filter(account: Account, machine: str) -> None:
    """Take the filter away for a test, whatever is set meanwhile, until `close_filter`."""
    _change_filter(account, machine, opened=True)


def close_filter(account: Account, machine: str) -> None:
    """Put the filter, as it was set last, in force again."""
    _change_filter(account, machine, opened=False)


def as_data(openings: Sequence[Opening] | None) -> list[dict[str, Any]] | None:
    """Openings as they are kept in the account."""
    return None if openings is None else [opening.as_data() for opening in openings]


def apply(account: Account) -> None:
    """Make the host's rules and routes what the account says; without machines, take the rules away.

    To be called after each change; the last of several at once sees the changes of all.
    """
    with account.locked("network"):
        data = account.read()
        chains = Chains(account.tag)
        if not data["machines"]:
            _remove_rules(chains)
        elif _present(data):
            _filter_bridged(data["network"]["bridge"])
            host.run(["iptables-restore", "--wait", "--noflush"], render(account.tag, data))
            _jump(chains, data["network"]["bridge"])
        if data["addresses"]:
            with _host_lock():
                _route(account)


def look(account: Account, address: str) -> None:
    """Learn the bridge that the machines are on, and the host's address there, from how this machine is reached."""
    (route,) = json.loads(host.run(["ip", "-json", "route", "get", address]))
    with account.change() as data:
        data["network"] = {"bridge": route["dev"], "gateway": route["prefsrc"]}


def _change_filter(account: Account, machine: str, **changes: Any) -> None:
    with account.change() as data:
        if machine not in data["machines"]:
            raise CloudError(f"there is no machine {machine} in this account")
        known = data["machines"][machine]["filter"]
        same = known == known | changes
        known |= changes
    if not same:  # stand-ins derive all filters again whenever one thing changes
        apply(account)


def _jump(chains: Chains, bridge: str) -> None:
    for table, builtin, chain in chains.jumps:
        lines = host.run(["iptables", "-w", "-t", table, "-S", builtin]).splitlines()
        ours = f"-A {builtin} -j {chain}"
        drivers = [index for index, line in enumerate(lines) if f"-i {bridge} " in line]
        if ours in lines:
            if table != "filter" or not drivers or lines.index(ours) < min(drivers):
                continue
            # The driver drops what machines send to the host, and has put that before us again
            host.run(["iptables", "-w", "-t", table, "-D", builtin, "-j", chain])
        host.run(["iptables", "-w", "-t", table, "-I", builtin, "-j", chain])


def _remove_rules(chains: Chains) -> None:
    for table, builtin, chain in chains.jumps:
        while host.succeeds(["iptables", "-w", "-t", table, "-D", builtin, "-j", chain]):
            pass
    for table, chain in chains.owned:
        if host.succeeds(["iptables", "-w", "-t", table, "-F", chain]):
            host.run(["iptables", "-w", "-t", table, "-X", chain])


def _present(data: dict[str, Any]) -> bool:
    """Whether there is the machines' bridge; after a restart of the host it comes with the first that is started."""
    return "network" in data and Path("/sys/class/net", data["network"]["bridge"]).exists()


def _filter_bridged(bridge: str) -> None:
    """Have the packets between machines, which only cross the bridge, pass iptables as well: this bridge's alone."""
    if _BRIDGE_CALLS.exists():
        if _BRIDGE_CALLS.read_text().strip() == "1":
            return  # those of all bridges do
    elif host.succeeds(["modprobe", "br_netfilter"]):
        host.run(["sh", "-c", f"echo 0 >{_BRIDGE_CALLS}"])  # loading switches it on for all of the host's bridges
    own = Path("/sys/class/net", bridge, "bridge/nf_call_iptables")
    if not (_BRIDGE_CALLS.exists() and own.exists()):
        raise CloudError(
            "this host's kernel cannot filter packets between machines (the module br_netfilter is missing): "
            "the rig's clouds need that"
        )
    host.run(["sh", "-c", f"echo 1 >{own}"])


# -- routes: one for each address that is reserved, and a better one for each that is assigned


def _route(account: Account) -> None:
    data = account.read()
    present = _routes()
    if data["addresses"]:
        host.run(["ip", "addr", "replace", f"{OPERATOR}/32", "dev", "lo"])
    for address, entry in data["addresses"].items():
        mine = [route for route in present if route["dst"] == address]
        if not any(route.get("type") == "unreachable" for route in mine):
            host.run(["ip", "route", "replace", "unreachable", f"{address}/32", "metric", str(_RESERVED_METRIC)])
        leading = [route for route in mine if route.get("type") != "unreachable"]
        machine = data["machines"].get(entry["machine"], {})
        if machine.get("address") and _present(data):
            way = ["dev", data["network"]["bridge"], "src", OPERATOR]
            if not any(route.get("dev") == way[1] and route.get("prefsrc") == OPERATOR for route in leading):
                host.run(["ip", "route", "replace", f"{address}/32", *way])
        else:
            for route in leading:
                _forget(route)


def _routes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        host.run(["ip", "-json", "-details", "route", "show", "root", f"{_PUBLIC}.0/24"]) or "[]"
    )
    return found


def _forget(route: dict[str, Any]) -> None:
    words = ["unreachable"] if route.get("type") == "unreachable" else []
    metric = ["metric", str(route["metric"])] if "metric" in route else []
    host.succeeds(["ip", "route", "del", *words, f"{route['dst']}/32", *metric])


def _host_lock() -> Any:
    folder = Path("/run/lock")
    return file_lock((folder if folder.is_dir() else Path(tempfile.gettempdir())) / "slipway-rig.lock")
