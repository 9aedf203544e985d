"""`python -m pulumi_slipway.carry`: what becomes of the apps' data when a server's machine is another one than before.

Started by the data command of each server, which is never replaced: what it printed last is the machine that had the
data until now. One JSON document on stdin (it holds a secret): `{"host": Host at its own address, "address": the
address that it will finally have, "private_key": …, "carry_data": true | false | null}`. Progress on stderr, the host
with its final address as one JSON line on stdout, with its own one, the time since which it is the server's, and
(`former`) the own address of the machine that was the server before; empty: none.

With `carry_data` the apps on the old machine stand still (`agent/hold.py`), their data go to the new one through this
one (`carry_relay.py`), are checked and put in place there, and the old machine is left: it does not serve any more,
also after a reboot. When any of that fails, the apps on the old machine serve again. All of it can be run again.

A stack may also go back: to a machine that was left for the one it leaves now. Where an app never served on that one,
the data are still where they are wanted, and the app serves there again; where it did, they are carried back.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .carry_relay import NotSentError, Parcel, bring
from .machine import AgentFailedError, Machine
from .previous import previous_output
from .ssh import SshError, say

_STOP_LIMIT = 1800.0
"""Seconds for all apps of a machine to stand still, or to serve again; each has limits of its own."""
_PLACE_LIMIT = 600.0
_UNDO_TRIES = 3

LEASE_MINUTES = 15
"""After so long, apps serve again by themselves whose carrying run is gone (`agent/hold.py`)."""


class NotCarriedError(Exception):
    """The data are where they were; the message says why, and what to do."""


@dataclass(frozen=True)
class Plan:
    """What is to be done about the apps on the machine that had the data until now."""

    carry: Mapping[str, dict[str, Any]]
    """Those with data that are to be on the new machine."""
    leave: frozenset[str]
    """Apps whose data the new machine has already, as far as they are of any worth."""
    databases: tuple[str, ...]
    """Those on the old machine; their rows cannot be carried."""
    elsewhere: tuple[str, ...]
    """Apps whose data went from there to a third machine."""
    back: bool
    """The new machine has apps that were left for the old one: they are to serve again."""


def make_plan(old: Mapping[str, Any], old_id: str, new: Mapping[str, Any], new_id: str) -> Plan:
    """From what both machines say of their apps (`inventory`)."""
    carry, leave, elsewhere = {}, set(), []
    for name, app in old["apps"].items():
        never_used = app["arrived_from"] == new_id and not app["served"]
        if app["left_to"] == new_id or never_used:
            leave.add(name)
        elif app["left_to"] is not None:
            elsewhere.append(name)
        elif app["files"]:
            carry[name] = app
    back = any(app["left_to"] == old_id for app in new["apps"].values())
    return Plan(carry, frozenset(leave), tuple(old["databases"]), tuple(elsewhere), back)


def settle(before: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Decides about the data of the machine `before`, and acts; raises `NotCarriedError`."""
    old, new = Machine(before, request["private_key"]), Machine(request["host"], request["private_key"])
    wish: bool | None = request["carry_data"]
    if wish is False:
        say(f"the apps' data on {old.name} are not brought to {new.name}: they go with it (carry_data: false)")
        _start_over(new)
        return
    found = _inventory(old, f"which has the apps' data until now, cannot be asked what they are; {_GONE}")
    plan = make_plan(found, old.id, _inventory(new, "the new machine, cannot be asked"), new.id)
    _refuse(plan, old, new, wish)
    if plan.carry:
        carry(plan, old, new)
    if plan.back:
        _ask(new, "resume", {"left_to": old.id}, _STOP_LIMIT)


def carry(plan: Plan, old: Machine, new: Machine) -> None:
    """Brings the data of the plan's apps over; or has the old machine serve again, and raises `NotCarriedError`."""
    for name, app in plan.carry.items():
        check = {"app": name, "from": old.identity, "owner": app["owner"], "only_check": True}
        _ask(new, "expect", {**check, "bytes": app["bytes"], "entries": app["files"]})
    token = secrets.token_hex(8)
    try:
        say(f"the apps on {old.name} stand still while their data go to {new.name}")
        held = old.ask("hold", {"token": token, "to": new.identity}, _STOP_LIMIT)["apps"]
        parcels = [_parcel(name, app, token) for name, app in held.items() if app["files"] and name not in plan.leave]
        for parcel in parcels:
            bring(parcel, old, new)
        for parcel in parcels:
            new.ask("place", parcel.announcement(old), _PLACE_LIMIT)
        old.ask("leave", {"token": token})
    except BaseException as error:
        outcome = _undo(old, token)
        if isinstance(error, AgentFailedError | NotSentError | SshError):
            raise NotCarriedError(f"The data were not carried to {new.name}: {error}\n{outcome}") from error
        say(outcome)
        raise
    say(f"the data of {', '.join(parcel.app for parcel in parcels)} are on {new.name}; {old.name} is left")


def _parcel(name: str, app: Mapping[str, Any], token: str) -> Parcel:
    return Parcel(name, app["owner"], app["manifest"], app["entries"], app["bytes"], token)


def _refuse(plan: Plan, old: Machine, new: Machine, wish: bool | None) -> None:
    """Raises `NotCarriedError` where nobody said what is to become of data, or what is asked for cannot be done."""
    if plan.elsewhere:
        raise NotCarriedError(
            f"The data of {', '.join(plan.elsewhere)} went from {old.name} to yet another machine: what is on it now "
            "may be older. Go back to the generation of that machine first, or set carry_data to false to go on "
            "without these data."
        )
    if wish is None and (plan.carry or plan.databases):
        what = [f"{name} ({app['files']} files, {_size(app['bytes'])})" for name, app in plan.carry.items()]
        what += [f"the database {database}" for database in plan.databases]
        raise NotCarriedError(
            f"{new.name} is to take the place of {old.name}, where there are data: {', '.join(what)}. Set carry_data "
            "to true to have them brought over (the apps stand still meanwhile; databases cannot be), or to false to "
            "let all of it go with the old machine. Nothing was changed."
        )
    if plan.databases:
        raise NotCarriedError(
            f"{', '.join(plan.databases)} on {old.name} cannot be carried over, and the rows would be lost. Dump them "
            "there (pg_dump, mariadb-dump) and keep the dump; set carry_data to false, have the new machine made, and "
            "load the dump there. Files in /srv/<app>/shared are then to be copied by hand, too. Nothing was changed."
        )


def _start_over(new: Machine) -> None:
    """The new machine goes on with what it has: nothing of it waits for data, or was left for the old one."""
    _bring_agent(new, "the new machine, cannot be asked")
    _ask(new, "resume", {"force": True}, _STOP_LIMIT)
    _ask(new, "forget", {})


def _inventory(machine: Machine, who: str) -> dict[str, Any]:
    _bring_agent(machine, who)
    return _ask(machine, "inventory", {})


def _bring_agent(machine: Machine, who: str) -> None:
    try:
        machine.bring_agent()
    except SshError as error:
        raise NotCarriedError(f"{machine.name}, {who}: {error}") from error
    except AgentFailedError as error:
        raise NotCarriedError(str(error)) from error


def _ask(machine: Machine, subcommand: str, document: Mapping[str, Any], timeout: float = 120.0) -> dict[str, Any]:
    try:
        return machine.ask(subcommand, document, timeout)
    except (AgentFailedError, SshError) as error:
        raise NotCarriedError(str(error)) from error


def _undo(old: Machine, token: str) -> str:
    """Has the apps on the old machine serve again; says whether they do."""
    trouble: Exception | None = None
    for _ in range(_UNDO_TRIES):
        try:
            answer = old.ask("resume", {"token": token}, _STOP_LIMIT)
        except (AgentFailedError, SshError) as error:  # the agent may still be at what it was asked for before
            trouble = error
            continue
        if answer["refused"]:
            return f"On {old.name} another run carries the data by now: {', '.join(answer['refused'])}."
        return f"The apps on {old.name} serve again, with all their data; run the same command again to go on."
    return (
        f"{old.name} could not be told that its apps are to serve again ({trouble}). If they stand still, they serve "
        f"again by themselves after {LEASE_MINUTES} minutes; or run the same command again."
    )


_GONE = (
    "start it, or make it reachable, and run the same command again. If it is gone for good, set carry_data to false: "
    "whatever was in /srv/*/shared there, or in its databases, is then lost"
)


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    request = json.load(sys.stdin)
    host: dict[str, Any] = request["host"]
    before = previous_output()
    signal.signal(signal.SIGTERM, _end)  # as with Ctrl-C: the old machine is to serve again
    try:
        if before and before["id"] != host["id"]:
            settle(before, request)
    except NotCarriedError as error:
        say(f"error: {error}")
        return 1
    if before.get("id") == host["id"]:
        since, former = before.get("since", 0), before.get("former", "")
    else:
        since, former = int(time.time()), before.get("own_address", "")
    own = {"address": request["address"], "own_address": host["address"]}
    print(json.dumps({**host, **own, "since": since, "former": former}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
