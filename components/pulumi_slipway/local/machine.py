"""The machines: create, start, stop, remove, look into. Every operation is idempotent and safe beside others."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from pulumi_slipway.local import guest, hostconfig, image, limits, network, supervision
from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.inventory import status
from pulumi_slipway.local.locks import held, is_held
from pulumi_slipway.local.process import run, say, succeeds
from pulumi_slipway.local.state import UID_BASE, UID_COUNT, Record, State, remove_tree, write_json

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
START_TIMEOUT: Final = 120.0  # seconds from power-on until something listens on port 22
STOP_TIMEOUT: Final = 30.0  # seconds for a clean power-off, then the power is cut


@dataclass(frozen=True)
class Order:
    """What a new machine shall be."""

    debian: int
    seed: guest.Seed = field(default_factory=guest.Seed)
    packages: Sequence[str] = ()
    """More packages in its image, nothing of them started."""
    memory_mib: int | None = None
    hostname: str = ""
    """Empty: the machine's name."""


def create(
    state: State, name: str, order: Order, *, labels: Mapping[str, str] | None = None, power: bool = True
) -> dict[str, Any]:
    """Have a running machine `name` and describe it.

    A machine of that name that exists is started if it is stopped; `order` is for a new one. `labels` are kept for
    whoever asks for its status later: by them a program knows what it asked for. Without `power` it is not started:
    its address is known then before its first packet.
    Raises `LocalError` for a bad name and when the machine does not come up; one that was new is gone again then.
    """
    for label, text in (("machine", name), ("host", order.hostname or name)):
        if not _NAME.fullmatch(text):
            raise LocalError(f"{text!r} is no {label} name: lower-case letters, digits and inner dashes, at most 63")
    state.prepare()
    with _locked(state, name, "creating"):
        new = state.record(name) is None
        if new:
            _make(state, name, order)
        try:
            described = _start(state, name) if power else _described(state, name)
        except LocalError:
            if new:
                _discard(state, name)
            raise
        if labels:
            write_json(state.folder(name) / "labels.json", dict(labels))
        return described


def start(state: State, name: str) -> dict[str, Any]:
    """Start a machine if it is stopped, wait until it can be reached, and describe it."""
    with _existing(state, name, "starting"):
        return _start(state, name)


def stop(state: State, name: str, *, timeout: float = STOP_TIMEOUT) -> None:
    """Power a machine off, in good order within `timeout` seconds, else at once. Its data stays."""
    with _existing(state, name, "stopping") as record:
        _stop(state, record, timeout)


def remove(state: State, name: str, *, labels: Mapping[str, str] | None = None) -> None:
    """Remove a machine with its data, and the network when it was the last; an absent one is fine.

    With `labels`, only a machine that has them all: another one that has got the name since is left alone.
    """
    if not state.folder(name).exists():
        return
    with _locked(state, name, "removing"):
        found = status(state, name)["labels"]
        if any(found and found.get(key) != value for key, value in (labels or {}).items()):
            return
        _discard(state, name)
        _lock_file(state, name).unlink()


def _discard(state: State, name: str) -> None:
    record = state.record(name)
    if record is not None:
        _stop(state, record, timeout=0)
    with held(network.HOST_LOCK, "the network of local machines"):
        # The record goes first: without it the rest is a left-over that the next creation clears
        (state.folder(name) / "machine.json").unlink(missing_ok=True)
        remove_tree(state.folder(name))
        if not state.records():
            _leave_host(state)


def clean(state: State, *, machines: bool = False) -> None:
    """Remove images, network and the state folder itself; with `machines`, first all machines with their data.

    Raises `LocalError` while there are machines, of which nothing is touched then: they may be anybody's.
    """
    if not state.root.exists():
        return
    state.prepare()
    for folder in sorted(state.machines.iterdir()) if machines else ():
        remove(state, folder.name)
    with image.none_in_the_making(state), held(network.HOST_LOCK, "the network of local machines"):
        names = ", ".join(record.name for record in state.records())
        if names:
            raise LocalError(
                f"these machines stand on what is to be removed: {names}. Remove them first "
                "(`python -m pulumi_slipway.local remove NAME`), or all of them with their data (`… clean --all`)"
            )
        _leave_host(state)
        remove_tree(state.root)


def _leave_host(state: State) -> None:
    """Take back what the host was changed in for machines. The caller holds the host's lock."""
    network.remove(state)
    if not network.in_use():
        limits.give_back()


def execute(state: State, name: str, command: Sequence[str]) -> NoReturn:
    """Become `command`, run as root in the machine. Raises `LocalError` when the machine is not running."""
    record = state.record(name)
    if record is None:
        raise LocalError(f"there is no machine {name}")
    leader = _leader(state.folder(name))
    if leader is None:
        raise LocalError(f"the machine {name} is not running: `start {name}`")
    supervision.join(leader)
    environment = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
        "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}",
    ]  # fmt: skip
    # setpriv: nsenter is only the parent of the command, which shall end with it
    os.execvp("nsenter", ["nsenter", f"--target={leader}", "--all", "--",  # noqa: S606
                          "/usr/bin/env", "--ignore-environment", *environment,
                          "/usr/bin/setpriv", "--pdeathsig=KILL", "--", *command])  # fmt: skip


@contextmanager
def _locked(state: State, name: str, purpose: str) -> Iterator[None]:
    # Long enough for whoever holds it to build an image
    with held(_lock_file(state, name), f"{purpose} the machine {name}", timeout=1800):
        yield


def _lock_file(state: State, name: str) -> Path:
    return state.locks / f"machine-{name}"


@contextmanager
def _existing(state: State, name: str, purpose: str) -> Iterator[Record]:
    if state.record(name) is None:
        raise LocalError(f"there is no machine {name}: `create {name}`")
    with _locked(state, name, purpose):
        record = state.record(name)
        if record is None:
            raise LocalError(f"the machine {name} was removed meanwhile")
        yield record


def _make(state: State, name: str, order: Order) -> None:
    folder = state.folder(name)
    resolv_conf = hostconfig.resolv_conf()
    with (
        image.ensured(state, image.host_recipe(order.debian, order.packages)) as key,
        held(network.HOST_LOCK, "the network of local machines"),
    ):
        remove_tree(folder)  # what an interrupted creation left
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True)
        os.chown(folder / "upper", UID_BASE, UID_BASE)
        net = network.ensure(state, avoid=hostconfig.nameservers(resolv_conf))
        record = Record(
            id=f"m-{secrets.token_hex(5)}",  # short: `vb-` + id is the name of an interface, at most 15 characters
            name=name,
            hostname=order.hostname or name,
            debian=order.debian,
            image=key,
            address=network.free_address(net, (other.address for other in state.records())),
            memory_mib=order.memory_mib,
        )
        files = guest.first_files(record, net, secrets.token_hex(16), order.seed, hostconfig.client_files())
        guest.write_files(folder / "upper", files)
        state.write_record(record)


def _start(state: State, name: str) -> dict[str, Any]:
    record = state.record(name)
    assert record is not None  # noqa: S101 - the callers hold the machine's lock
    folder = state.folder(name)
    if not is_held(folder / "keeper"):
        _cut_power(record)  # nothing, unless its keeper alone was killed
        resolv_conf = hostconfig.resolv_conf()
        (folder / "resolv.conf").write_text(resolv_conf)
        (folder / "process").unlink(missing_ok=True)
        with held(network.HOST_LOCK, "the network of local machines"):
            net = network.ensure(state, avoid=hostconfig.nameservers(resolv_conf))
            limits.ensure()
        # The host may remember this address with another machine's link address
        succeeds(["ip", "neigh", "flush", "to", record.address, "dev", net.bridge])
        say(f"starting the machine {name} (Debian {record.debian}, {record.address})")
        command = _nspawn(record, folder, net.bridge)
        supervision.start(record.id, folder, image.rootfs(state, record.image), command, record.memory_mib)
    _wait_until_reachable(record, folder)
    return _described(state, name)


def _described(state: State, name: str) -> dict[str, Any]:
    described = status(state, name)
    return {key: described[key] for key in ("id", "name", "address", "boots", "debian")}


def _nspawn(record: Record, folder: Path, bridge: str) -> list[str]:
    return [
        "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
        f"--directory={folder / 'root'}", f"--machine={record.id}", f"--hostname={record.hostname}",
        # Root in the machine is nobody on the host: its capabilities count for its own namespaces only
        f"--private-users={UID_BASE}:{UID_COUNT}", "--private-users-ownership=off",
        "--rlimit=NOFILE=1024:524288",  # systemd's own default, whatever our caller has
        f"--network-bridge={bridge}",
        "--resolv-conf=off", f"--bind-ro={folder / 'resolv.conf'}:/etc/resolv.conf",
        "--timezone=off", "--link-journal=no", "--console=read-only",
    ]  # fmt: skip


def _wait_until_reachable(record: Record, folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    begun = time.monotonic()
    while time.monotonic() < deadline:
        try:
            socket.create_connection((record.address, 22), timeout=1).close()
        except OSError:
            # The keeper takes its lock a moment after it was started
            if time.monotonic() - begun > 5 and not is_held(folder / "keeper"):
                raise LocalError(f"the machine {record.name} went off while starting; {_console(folder)}") from None
            time.sleep(0.05)
        else:
            return
    raise LocalError(
        f"nothing listens on port 22 of the machine {record.name} ({record.address}) after {START_TIMEOUT:.0f} s; "
        f"{_console(folder)}"
    )


def _stop(state: State, record: Record, timeout: float) -> None:
    folder = state.folder(record.name)
    process = _nspawn_process(folder)
    if timeout > 0 and process is not None and is_held(folder / "keeper"):
        say(f"stopping the machine {record.name}")
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while is_held(folder / "keeper") and time.monotonic() < deadline:
            time.sleep(0.02)
    _cut_power(record)


def _cut_power(record: Record) -> None:
    supervision.kill(record.id)
    network.unplug(record.id)


def _nspawn_process(folder: Path) -> int | None:
    """The process id of the machine's systemd-nspawn; None when it is not running."""
    try:
        process, start_time = (folder / "process").read_text().split()
        # After the command's name, which may hold anything, the start time is the 20th field
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19] == start_time:
            return int(process)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
    return None


def _leader(folder: Path) -> int | None:
    """The host's process id of the machine's PID 1; None when it is not running."""
    process = _nspawn_process(folder)
    if process is None or not is_held(folder / "keeper"):
        return None
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        ids = re.search(r"^NSpid:\s+\d+\s+1$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
        if ids:
            return int(child)
    return None


def _console(folder: Path) -> str:
    text = run(["tail", "-n", "15", str(folder / "console.log")])
    return f"the end of {folder / 'console.log'}:\n{text}"
