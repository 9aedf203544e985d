"""One checkout and one cloud account for all rows; the table at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import table_plugin
from tests.clouds.plain import plain_machine
from tests.clouds.stacks import CREDENTIALS, Stack, stack
from tests.clouds.table import ROWS, TABLE, Row
from tests.e2e.checkout import Checkout, checkout
from tests.machines import Machine
from tests.rig.clouds import inventory, machines
from tests.rig.clouds.account import Account


def pytest_configure(config: pytest.Config) -> None:
    table_plugin.configure(config, TABLE, "running")


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The account that the checkout's stand-ins use; empty again at the end."""
    folder = tmp_path_factory.mktemp("account")
    before = dict(os.environ)
    os.environ.update(CREDENTIALS)
    os.environ["SLIPWAY_RIG_ACCOUNT"] = str(folder)
    made = Account.open()
    try:
        yield made
    finally:
        inventory.empty(made)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def project(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout, set up."""
    with checkout(tmp_path_factory.mktemp("clouds") / "slipway") as made:
        made.make("setup")
        yield made


@pytest.fixture(scope="session")
def stranger(account: Account) -> Iterator[Machine]:
    """A machine in the same cloud that was granted nothing."""
    made = machines.create(
        account, cloud="ec2", user_data="#cloud-config\n{}\n", form="cloud-init", login="admin",
        public_keys=[], hostname="stranger",
    )  # fmt: skip
    yield Machine(made.name, made.name, made.address, 13)
    machines.remove(account, made.name)


@pytest.fixture(scope="class", params=ROWS, ids=str)
def running(request: pytest.FixtureRequest, project: Checkout, account: Account) -> Iterator[Stack]:
    """The stack of one row, through all of its lines."""
    row: Row = request.param
    with ExitStack() as last, stack(project, account, row) as made:
        if row.target == "existing":
            plain = last.enter_context(plain_machine())
            made.settings["existing"] = {
                "address": plain.machine.address,
                "user": plain.user,
                "private_key": plain.private_key,
                "host_key": plain.host_key,
                "harden": True,
            }
            made.plain = plain.machine
            made.write()
        yield made
