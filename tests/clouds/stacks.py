"""Stacks of one checkout, each a target with a database, on the rig's clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.clouds.table import Row
from tests.e2e.checkout import Checkout
from tests.e2e.stacks import LocalStack
from tests.machines import Machine
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


class Stack(LocalStack):
    """One row's stack."""

    def __init__(self, checkout: Checkout, account: Account, row: Row) -> None:
        super().__init__(checkout, str(row))
        self.account, self.row = account, row
        self.plain: Machine | None = None
        """The machine of target existing."""
        self.settings = {
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
        if row.managed and not row.database.startswith(("digitalocean", "linode")):
            # in place of Amazon's own CAs, which the rig cannot sign by
            self.settings["database"]["ca_certificate"] = rig_databases.ca_certificate(account)
        if row.target == "linode":  # not the default, as not every account may reserve one
            self.settings["linode"] = {"reserved_address": True}

    def machine(self) -> Machine:
        """The machine behind the stack's server, to look at from below."""
        if self.plain is not None:
            return self.plain
        if self.row.target == "local":
            return super().machine()
        host = self.outputs()["host"]
        return Machine(inventory.machine_of(self.account, host["address"]), host["id"], host["address"], 13)

    def mark(self, word: str) -> None:
        """Makes the pages say `word`."""
        path = self.checkout.folder / "examples/guestbook/guestbook/templates/base.html"
        first, _, rest = path.read_text().partition("<body")
        path.write_text(f'{first}<body data-marker="{word}"{rest[rest.index(">") :]}')


@contextmanager
def stack(checkout: Checkout, account: Account, row: Row) -> Iterator[Stack]:
    """A stack that is gone at the end, whatever happened in between, with all that is left of it in the cloud."""
    made = Stack(checkout, account, row)
    made.write()
    checkout.pulumi("stack", "init", made.name, "--no-select")
    checkout.git("checkout", "-q", "--", "examples")
    with made.gone_at_the_end():
        yield made
