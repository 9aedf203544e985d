"""A program of one's own with its own network and its own provider, from the installed wheel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout
from tests.e2e.test_import_example import Program, visit
from tests.rig.clouds import databases
from tests.rig.clouds.account import Account


@pytest.fixture
def own_vpc(project: Checkout) -> Iterator[Program]:
    """The program with a VPC of its own, in the checkout of all rows."""
    made = Program(project, "own-vpc")
    try:
        yield made
    finally:
        made.remove()


def test_server_and_database_in_a_vpc_and_by_a_provider_of_ones_own(
    own_vpc: Program, account: Account, tmp_path: Path
) -> None:
    own_vpc.install()
    own_vpc.run("pulumi", "config", "set", "ca-certificate", "--stack", "try", "--", databases.ca_certificate(account))
    own_vpc.pulumi("up", "--yes", "--skip-preview")
    visit(own_vpc, tmp_path)

    groups = account.things("aws:ec2/securityGroup:SecurityGroup").values()
    assert {group["attributes"]["vpcId"] for group in groups} == set(account.things("aws:ec2/vpc:Vpc"))
    again = own_vpc.pulumi("up", "--yes", "--skip-preview")
    assert not re.search(r"^ +[+~-]", again.partition("Resources:")[2], re.MULTILINE), again

    own_vpc.pulumi("destroy", "--yes", "--skip-preview")
    assert account.things() == {}
