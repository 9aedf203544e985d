"""A server over its life: what is set otherwise later, or refreshed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clouds import inside
from tests.clouds.stacks import Stack, stack
from tests.clouds.table import Row
from tests.clouds.test_targets import WEB_AND_SSH, open_ports
from tests.e2e.checkout import Checkout
from tests.rig.clouds.account import Account

PORT = 8099
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada"


class Life(Row):
    """Beside the table's rows, and in the same checkout."""

    def __str__(self) -> str:
        return f"life-{self.target}"


@pytest.fixture(scope="module", params=["ec2"])
def life(request: pytest.FixtureRequest, project: Checkout, account: Account) -> Iterator[Stack]:
    """A stack that is up, and protected."""
    with stack(project, account, Life(request.param, "sqlite")) as made:
        made.settings["experiment"] = False
        made.write()
        try:
            made.up()
            yield made
        finally:
            made.settings["experiment"] = True
            made.write()
            made.pulumi("up", "--yes", "--skip-preview", check=False)


def test_after_a_refresh_there_is_nothing_to_do(life: Stack) -> None:
    assert life.changes() == {}
    life.pulumi("refresh", "--yes", "--skip-preview")
    assert life.changes() == {}


def test_the_firewall_and_the_keys_follow_without_a_new_machine(life: Stack) -> None:
    before = life.outputs()["host"]
    for wanted, rules in (([PORT], [{"name": "extra", "port": PORT}]), ([], [])):
        life.settings |= {"firewall": rules, "admin_keys": [KEY] if rules else []}
        life.write()
        assert "server-access-1" in life.pulumi("preview")
        life.up()
        with inside.listeners(life.machine(), [PORT]):
            assert open_ports(life, [PORT]) == [*WEB_AND_SSH, *wanted]
        keys = life.machine().root_shell("cat ~admin/.ssh/authorized_keys", check=False)
        assert keys.strip() == (KEY if rules else "")
        assert life.changes() == {}
    assert life.outputs()["host"] == before
