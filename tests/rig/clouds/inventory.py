"""What an account has, seen and removed from outside: behind Pulumi's back, and at the end of a test."""

from __future__ import annotations

import importlib
from typing import Any

from . import databases, machines, metadata, network
from .account import Account, CloudError

_HIDDEN = ("user_data",)  # long, and with a key in it


def listed(account: Account) -> dict[str, Any]:
    """All that is in the account, by id or name, in one word each."""
    data = account.read()
    return {
        "account": str(account.folder),
        "tag": account.tag,
        "things": {identity: thing["type"] for identity, thing in data["things"].items()},
        "machines": {name: f"{known['cloud']} {known['address']}" for name, known in data["machines"].items()},
        "databases": {name: known["engine"] for name, known in data["databases"].items()},
        "addresses": {address: entry["machine"] for address, entry in data["addresses"].items()},
    }


def described(account: Account, identity: str) -> dict[str, Any]:
    """All that is known of a thing, machine, database or public address. Raises `CloudError` when there is none."""
    data = account.read()
    for section in ("things", "databases", "machines", "addresses"):
        if identity not in data[section]:
            continue
        known = {key: value for key, value in data[section][identity].items() if key not in _HIDDEN}
        machine = machine_of(account, identity)
        if machine:
            found = machines.get(account, machine)
            known |= {
                "machine": machine,
                "running": found is not None and found.running,
                "public_addresses": network.addresses_of(account, machine),
            }
        return known
    raise CloudError(f"the account {account.folder} has no {identity}; it has {', '.join(_names(data)) or 'nothing'}")


def machine_of(account: Account, identity: str) -> str:
    """The machine that a thing or database or address has, or that is so called; empty: none."""
    data = account.read()
    thing = data["things"].get(identity, {})
    entry = data["addresses"].get(identity, {})
    name = str(thing.get("machine") or thing.get("database") or entry.get("machine") or identity)
    return name if name in data["machines"] else ""


def delete(account: Account, identity: str) -> None:
    """Remove a thing with what it owns, or a machine, database or address by itself, telling nobody but the cloud.

    Raises `CloudError` when there is none.
    """
    described(account, identity)
    thing = account.thing(identity)
    if thing is None:
        _remove(account, identity)
        return
    account.drop(identity)
    for key in ("database", "machine", "address"):
        if thing.get(key):
            _remove(account, thing[key])
    _settle(account, thing["cloud"])


def empty(account: Account) -> None:
    """Remove all that the account has, whatever state it was left in; what it has on the host goes, too.

    Raises `CloudError` naming what could not be removed, after all else was.
    """
    with account.change() as data:
        data["things"] = {}
    data = account.read()
    failed = []
    for name in [*data["databases"], *data["machines"], *data["addresses"]]:
        try:
            _remove(account, name)
        except CloudError as error:
            failed.append(f"{name}: {error}")
    network.apply(account)
    metadata.end_without_machines(account)
    if failed:
        raise CloudError("not all could be removed: " + "; ".join(failed))


def _remove(account: Account, name: str) -> None:
    data = account.read()
    if name in data["databases"]:
        databases.remove(account, name)
    elif name in data["machines"]:
        machines.remove(account, name)
    elif name in data["addresses"]:
        network.release(account, name)


def _settle(account: Account, cloud: str) -> None:
    """Let the cloud's stand-in derive again what depended on the thing that is gone."""
    name = f"{__package__}.{cloud}"
    try:
        settle = getattr(importlib.import_module(name), "settle", None)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return
    if settle is not None:
        settle(account)


def _names(data: dict[str, Any]) -> list[str]:
    return [name for section in ("things", "databases", "machines", "addresses") for name in data[section]]
