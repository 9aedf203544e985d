"""Stacks of one checkout, each a target with a database, on the rig's clouds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.clouds.table import Row
from tests.e2e.checkout import Checkout, Visitor
from tests.machines import Machine, driver
from tests.rig.clouds import databases as rig_databases
from tests.rig.clouds import inventory
from tests.rig.clouds.account import Account

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIARIGRIGRIGRIGRIGR",
    "AWS_SECRET_ACCESS_KEY": "of-the-rig",
    "AWS_REGION": "eu-central-1",
    "DIGITALOCEAN_TOKEN": "of-the-rig",
    "LINODE_TOKEN": "of-the-rig",
}
"""What the clouds' stand-ins take; it is worth nothing anywhere."""


class Stack:
    """One stack of a checkout."""

    def __init__(self, checkout: Checkout, account: Account, row: Row) -> None:
        self.checkout, self.account, self.row = checkout, account, row
        self.name = str(row)
        self.plain: Machine | None = None
        """The machine of target existing."""
        self.settings: dict[str, Any] = {
            "target": row.target,
            "app": {
                "path": "examples/guestbook",
                "name": "guestbook",
                "build": ["pybabel compile -d guestbook/translations"],
                "release": ["flask --app guestbook db upgrade"],
                "health": {"path": "/healthz"},
            },
            "experiment": True,
            "database": {"kind": row.database},
        }
        if row.target == "linode" and "replaced" in row.lines:
            self.settings["linode"] = {"reserved_address": True}
        if row.managed and not row.database.startswith(("digitalocean", "linode")):
            # in place of Amazon's own CAs, which the rig cannot sign by
            self.settings["database"]["ca_certificate"] = rig_databases.ca_certificate(account)
        if row.target == "linode":  # not the default, as not every account may reserve one
            self.settings["linode"] = {"reserved_address": True}

    def write(self) -> None:
        """Pulumi.<stack>.yaml from the settings."""
        config = {f"slipway:{key}": value for key, value in self.settings.items()}
        (self.checkout.folder / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": config}))

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        done = self.checkout.pulumi(*arguments, "--stack", self.name, check=check, timeout=600)
        return done.stdout + done.stderr

    def up(self) -> str:
        return self.pulumi("up", "--yes", "--skip-preview")

    def changes(self) -> dict[str, int]:
        """How many resources a preview would change, by kind; empty: none."""
        printed = self.checkout.pulumi("preview", "--json", "--stack", self.name).stdout
        summary = json.loads(printed)["changeSummary"]
        return {kind: count for kind, count in summary.items() if kind != "same"}

    def outputs(self) -> dict[str, Any]:
        printed = self.checkout.pulumi("stack", "output", "--json", "--show-secrets", "--stack", self.name).stdout
        answer: dict[str, Any] = json.loads(printed)
        return answer

    def visitor(self) -> Visitor:
        return Visitor(self.outputs()["url"], self.certificate())

    def certificate(self) -> Path:
        path = self.checkout.folder / ".slipway" / f"{self.name}.pem"
        path.write_text(self.outputs()["certificate"])
        return path

    def machine(self) -> Machine:
        """The machine behind the stack's server, to look at from below."""
        if self.plain is not None:
            return self.plain
        host = self.outputs()["host"]
        name = inventory.machine_of(self.account, host["address"]) if self.row.target != "local" else host["name"]
        return Machine(name, host["id"], host["address"], 13)

    def mark(self, word: str) -> None:
        """Makes the pages say `word`."""
        path = self.checkout.folder / "examples/guestbook/guestbook/templates/base.html"
        first, _, rest = path.read_text().partition("<body")
        path.write_text(f'{first}<body data-marker="{word}"{rest[rest.index(">") :]}')

    def destroy(self) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview")


@contextmanager
def stack(checkout: Checkout, account: Account, row: Row) -> Iterator[Stack]:
    """A stack that is gone at the end, whatever happened in between, with all that is left of it in the cloud."""
    made = Stack(checkout, account, row)
    made.write()
    checkout.pulumi("stack", "init", made.name, "--no-select")
    checkout.git("checkout", "-q", "--", "examples")
    try:
        yield made
    finally:
        names = _local_machines(checkout, made.name)
        made.pulumi("destroy", "--yes", "--skip-preview", check=False)
        for name in names:
            driver("remove", name)


def _local_machines(checkout: Checkout, name: str) -> set[str]:
    """Machines of target local in the state file, which is there also when Pulumi itself does not work any more."""
    file = checkout.folder / ".slipway" / "state" / ".pulumi" / "stacks" / "slipway" / f"{name}.json"
    return set(re.findall(r"slipway\.local remove [^\"]*?([a-z0-9-]+)\"", file.read_text())) if file.exists() else set()
