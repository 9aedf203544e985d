"""Every target with every database that it can have: the same program, one setting apart.

The tests of a row run in this order on one stack, from its first `up` to its `destroy`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.background import start_load
from tests.clouds import inside
from tests.clouds.stacks import Stack
from tests.machines import Machine
from tests.rig.clouds import network

RATE = 40.0
"""Requests a second."""
WEB_AND_SSH = [22, 80, 443]
OTHERS = [25, 111, 3306, 5432, 8000, 9001, 50000]
"""Ports that a listener of the test is put on: open unless something keeps visitors out."""


class TestTarget:
    @pytest.mark.line("up")
    def test_one_up_serves_the_guestbook_over_https(self, running: Stack) -> None:
        running.up()
        running.visitor().sign("Ada", "the first row")

    @pytest.mark.line("again")
    def test_the_next_up_changes_nothing(self, running: Stack) -> None:
        assert running.changes() == {}

    @pytest.mark.line("release")
    def test_a_release_loses_no_request_and_no_row(self, running: Stack) -> None:
        url, certificate = running.outputs()["url"], running.certificate()
        running.mark("old")
        begun = time.monotonic()
        running.up()
        as_long_as = time.monotonic() - begun  # the next one takes, more or less
        running.mark("new")
        with start_load(url, RATE, 10 + 1.5 * as_long_as, ca=certificate) as load:
            running.up()
            result = load.wait()
        assert result.failures == {}
        assert list(result.markers) == ["old", "new"]
        assert "the first row" in running.visitor().get().text

    @pytest.mark.line("cloud firewall")
    def test_without_ufw_the_cloud_lets_nothing_else_in(self, running: Stack) -> None:
        machine = running.machine()
        machine.root_shell("ufw --force disable")
        try:
            with inside.listeners(machine, OTHERS):
                assert open_ports(running, OTHERS) == WEB_AND_SSH
        finally:
            machine.root_shell("ufw --force enable")

    @pytest.mark.line("ufw")
    def test_without_the_clouds_firewall_ufw_lets_nothing_else_in(self, running: Stack) -> None:
        with no_cloud_firewall(running), inside.listeners(running.machine(), OTHERS):
            assert open_ports(running, OTHERS) == WEB_AND_SSH

    @pytest.mark.line("tls")
    def test_the_app_reaches_its_database_by_a_certificate_that_it_knows_and_no_other(self, running: Stack) -> None:
        machine = running.machine()
        assert inside.connect(machine) == "1"
        with pytest.raises(AssertionError, match=r"(?i)certificate verify failed"):
            inside.connect(machine, other_ca=True)

    @pytest.mark.line("third machine")
    def test_a_third_machine_does_not_reach_the_database(self, running: Stack, stranger: Machine) -> None:
        variables = inside.variables(running.machine())
        host, port = variables["DATABASE_HOST"], variables["DATABASE_PORT"]
        if not running.row.managed:  # on the server itself: its own addresses, with ufw out of the way
            assert host == "127.0.0.1"
            host = running.outputs()["address"]
            running.machine().root_shell("ufw --force disable")
        try:
            assert not inside.reaches(stranger, host, int(port))
        finally:
            if not running.row.managed:
                running.machine().root_shell("ufw --force enable")

    @pytest.mark.line("replaced")
    def test_a_new_generation_keeps_address_and_rows_and_has_keys_of_its_own(self, running: Stack) -> None:
        before = running.outputs()
        running.settings["generation"] = 2
        if not running.row.managed:
            running.settings["carry_data"] = True
        running.write()
        running.up()
        after = running.outputs()
        assert after["host"]["id"] != before["host"]["id"]
        assert after["host"]["host_key"] != before["host"]["host_key"]
        if running.row.target != "local":
            assert after["address"] == before["address"]
        assert "the first row" in running.visitor().get().text
        if running.row.database.startswith("linode"):  # its list names the machine of before to the end of that up
            assert running.changes() == {"update": 1}
            running.up()
        assert running.changes() == {}

    @pytest.mark.line("destroy")
    def test_destroy_leaves_nothing(self, running: Stack) -> None:
        running.destroy()
        assert running.account.read().get("things", {}) == {}
        assert running.pulumi("stack", "export").count('"urn"') == 0


@contextmanager
def no_cloud_firewall(running: Stack) -> Iterator[None]:
    """Everything comes as far as the machine itself."""
    if running.row.target in ("local", "existing"):
        yield
        return
    name = running.machine().name
    network.open_filter(running.account, name)
    try:
        yield
    finally:
        network.close_filter(running.account, name)


def open_ports(running: Stack, others: list[int]) -> list[int]:
    """Which of the usual and the other ports answer from outside."""
    address = running.outputs()["address"]
    return [port for port in sorted({*WEB_AND_SSH, *others}) if _answers(address, port)]


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
