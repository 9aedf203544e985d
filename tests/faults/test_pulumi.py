"""Pulumi dies, or its connection, in the middle of a release: the real engine, with the guestbook."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.background import start_load
from tests.e2e.checkout import Checkout, checkout
from tests.faults.shop import PATIENCE, RATE, Told
from tests.faults.table import PULUMI_MOMENTS

SAID = {"upload": "uploading", "migration": "release: ", "healthy": "healthy after"}
"""What an `up` has said at these moments."""
LOST = 60
"""Seconds within which an `up` has to give up a connection that is cut."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout after its first `make up`."""
    with checkout(tmp_path_factory.mktemp("launched") / "slipway") as made:
        made.make("up")
        made.mark("first")
        made.up()
        yield made


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "moment", [pytest.param(m, marks=pytest.mark.fault(f"pulumi killed: {m}"), id=m) for m in PULUMI_MOMENTS]
)
def test_pulumi_killed(site: Checkout, told: Told, moment: str) -> None:
    with _trial(site, told, f"killed-{moment}"), site.starting_up() as process:
        _until(process, SAID[moment])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


@pytest.mark.timeout(300)
@pytest.mark.fault("SSH cut: in the upload")
def test_ssh_cut_in_the_upload(site: Checkout, told: Told) -> None:
    bulk = site.folder / "examples/guestbook/bulk.bin"
    try:
        with _trial(site, told, "cut-upload"):
            bulk.write_bytes(os.urandom(60 * 2**20))
            _cut(site, "upload")
            bulk.unlink()
    finally:
        bulk.unlink(missing_ok=True)


@pytest.mark.timeout(300)
@pytest.mark.fault("SSH cut: in the switch")
def test_ssh_cut_in_the_switch(site: Checkout, told: Told) -> None:
    with _trial(site, told, "cut-switch"):
        _cut(site, "healthy")


def _cut(site: Checkout, moment: str) -> None:
    """An `up` whose connection is cut at this moment gives up, and says so."""
    with site.starting_up() as process:
        _until(process, SAID[moment])
        with _no_ssh(site.machine.address):
            began = time.monotonic()
            said = process.communicate(timeout=LOST)[0]
    assert process.returncode != 0
    assert "connection lost" in said, said
    print(f"given up after {time.monotonic() - began:.0f} s")


@contextmanager
def _trial(site: Checkout, told: Told, word: str) -> Iterator[None]:
    """A fault, in the block, to a release that says `word`, while visitors come; then the next `up`."""
    old = site.visitor().get("/").text.split('data-marker="')[1].split('"')[0]
    visitor = site.visitor()
    visitor.sign("Ada", f"before {word}")
    site.revert()
    site.mark(word)
    site.edit_migration(word)
    with start_load(site.url, RATE, 600, ca=site.certificate, timeout=2 * PATIENCE) as load:
        try:
            yield
            found = visitor.get("/")
            assert found.status == 200
            told.serving = "old release" if f'data-marker="{old}"' in found.text else "new release"
            visitor.sign("Bob", f"after {word}")
            site.make("up")
            page = visitor.get("/").text
            assert f'data-marker="{word}"' in page
            assert site.changes() == {}, "the next up but one has something to do"
            told.up = "release"
        finally:
            result = load.finish()
            told.sent, told.lost = result.total, result.failed
    assert result.failures == {}
    assert set(result.markers) <= {old, word}
    assert f"before {word}" in page
    assert f"after {word}" in page
    told.rows = 2


def _until(process: subprocess.Popen[str], said: str) -> None:
    assert process.stdout
    seen = next((line for line in process.stdout if said in line), None)
    assert seen, f"the up never said {said!r}"


@contextmanager
def _no_ssh(address: str) -> Iterator[None]:
    """Between this host and the machine nothing of SSH comes through, in either direction."""
    rules = [
        ["OUTPUT", "-d", address, "-p", "tcp", "--dport", "22", "-j", "DROP"],
        ["INPUT", "-s", address, "-p", "tcp", "--sport", "22", "-j", "DROP"],
    ]
    for rule in rules:
        _iptables("-I", *rule)
    try:
        yield
    finally:
        for rule in rules:
            _iptables("-D", *rule)


def _iptables(*arguments: str) -> None:
    command = ["iptables", "--wait", *arguments]
    subprocess.run(command if os.geteuid() == 0 else ["sudo", "-n", *command], check=True, timeout=30)
