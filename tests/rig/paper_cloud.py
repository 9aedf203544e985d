"""An account without machines: what the stand-ins of clouds ask of the substrate is noted instead of done.

For tests of what a stand-in asks and answers. That what is asked happens is tested with machines, by fewer tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from .clouds import databases, machines, network
from .clouds.account import VARIABLE, Account, CloudError
from .clouds.databases import Database
from .clouds.machines import Machine
from .clouds.network import Opening


class PaperCloud:
    """One account, and what was asked for in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, str(folder / "account"))
        self.account = Account.open()
        self.machines: dict[str, Machine] = {}
        self.wishes: dict[str, dict[str, Any]] = {}
        """What each machine was made from."""
        self.events: list[tuple[str, str]] = []
        """(what happened, to which machine), in order."""
        self.filters: dict[str, tuple[Sequence[Opening] | None, Sequence[Opening] | None]] = {}
        self.addresses: dict[str, str] = {}
        """The machine of each address; empty text: none."""
        self.databases: dict[str, Database] = {}
        self.admitted: dict[str, list[str]] = {}
        self.passwords: dict[tuple[str, str], str] = {}
        """By database server and user."""
        self.grants: dict[tuple[str, str], list[str]] = {}
        self.schemas: dict[str, list[str]] = {}
        for module, names in (
            (machines, ("create", "get", "start", "stop", "remove", "set_metadata")),
            (network, ("reserve", "assign", "unassign", "release", "set_filter", "addresses_of")),
            (databases, ("admit", "configure", "create_database", "drop_database", "create_user", "drop_user",
                         "set_password", "ca_certificate")),
        ):  # fmt: skip
            for name in names:
                monkeypatch.setattr(module, name, getattr(self, name))
        for name in ("create", "get", "remove"):
            monkeypatch.setattr(databases, name, getattr(self, f"{name}_server"))

    @property
    def empty(self) -> bool:
        """Whether nothing is left that would cost something."""
        return not (self.machines or self.addresses or self.databases or self.account.things())

    # -- machines ----------------------------------------------------------------------------------------------

    def create(self, account: Account, **wishes: Any) -> Machine:
        number = account.next("machine")
        machine = Machine(f"rig-{account.tag}-{number}", f"10.99.0.{number}", wishes["cloud"], True)
        self.machines[machine.name] = machine
        self.wishes[machine.name] = wishes
        self.filters[machine.name] = (wishes.get("incoming"), wishes.get("outgoing"))
        return machine

    def get(self, account: Account, name: str) -> Machine | None:
        return self.machines.get(name)

    def start(self, account: Account, name: str) -> Machine:
        return self._turn(name, True)

    def stop(self, account: Account, name: str) -> None:
        self._turn(name, False)

    def _turn(self, name: str, running: bool) -> Machine:
        self.events.append(("start" if running else "stop", name))
        self.machines[name] = dataclasses.replace(self.machines[name], running=running)
        return self.machines[name]

    def remove(self, account: Account, name: str) -> None:
        self.events.append(("remove", name))
        self.machines.pop(name, None)
        self.filters.pop(name, None)
        self.addresses = {address: "" if it == name else it for address, it in self.addresses.items()}

    def set_metadata(self, account: Account, name: str, metadata: Mapping[str, Any]) -> None:
        self.wishes[name]["metadata"] = {**self.wishes[name]["metadata"], **metadata}

    # -- network -----------------------------------------------------------------------------------------------

    def reserve(self, account: Account) -> str:
        address = f"203.0.113.{account.next('address')}"
        self.addresses[address] = ""
        return address

    def assign(self, account: Account, address: str, machine: str) -> None:
        self._known(address in self.addresses and machine in self.machines, f"{address} or {machine}")
        self.addresses[address] = machine

    def unassign(self, account: Account, address: str) -> None:
        self.addresses[address] = ""

    def release(self, account: Account, address: str) -> None:
        self.addresses.pop(address, None)

    def addresses_of(self, account: Account, machine: str) -> list[str]:
        return [address for address, it in self.addresses.items() if it == machine]

    def set_filter(
        self,
        account: Account,
        machine: str,
        incoming: Sequence[Opening] | None,
        outgoing: Sequence[Opening] | None = None,
    ) -> None:
        self._known(machine in self.machines, machine)
        self.filters[machine] = (incoming, outgoing)

    # -- databases ---------------------------------------------------------------------------------------------

    def create_server(self, account: Account, **wishes: Any) -> Database:
        number = account.next("database")
        name = f"rig-{account.tag}-db{number}"
        public = f"203.0.113.{200 + number}" if wishes.get("public") else ""
        port = wishes.get("port") or 5432
        server = Database(
            name, wishes["engine"], f"10.99.1.{number}", public, port, wishes["master_user"],
            wishes.get("max_connections", 100), wishes.get("force_tls", False),
        )  # fmt: skip
        self.databases[name] = server
        self.admitted[name] = list(wishes.get("sources", ()))
        self.passwords[name, wishes["master_user"]] = wishes["master_password"]
        self.schemas[name] = list(wishes.get("databases", ()))
        return server

    def get_server(self, account: Account, name: str) -> Database | None:
        return self.databases.get(name)

    def remove_server(self, account: Account, name: str) -> None:
        self.databases.pop(name, None)

    def admit(self, account: Account, name: str, sources: Sequence[str]) -> None:
        self._known(name in self.databases, name)
        self.admitted[name] = list(sources)

    def configure(self, account: Account, name: str, **wishes: Any) -> None:
        given = {key: value for key, value in wishes.items() if value is not None}
        self.databases[name] = dataclasses.replace(self.databases[name], **given)

    def create_database(self, account: Account, name: str, database: str, owner: str = "") -> None:
        self.schemas[name].append(database)

    def drop_database(self, account: Account, name: str, database: str) -> None:
        self.schemas[name].remove(database)

    def create_user(self, account: Account, name: str, user: str, password: str, *, grants: Sequence[str] = ()) -> None:
        self.passwords[name, user] = password
        self.grants[name, user] = list(grants)

    def drop_user(self, account: Account, name: str, user: str) -> None:
        del self.passwords[name, user]

    def set_password(self, account: Account, name: str, user: str, password: str) -> None:
        self.passwords[name, user] = password

    def ca_certificate(self, account: Account) -> str:
        return "-----BEGIN CERTIFICATE-----\non paper\n-----END CERTIFICATE-----\n"

    @staticmethod
    def _known(there: bool, what: str) -> None:
        if not there:
            raise CloudError(f"there is no {what}")
