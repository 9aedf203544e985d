"""Data go from one server to another: nothing of them is lost, whatever ends in the middle.

The program is started as Pulumi's command starts it; the servers are real. The tests of `hold` and of single steps of
the transfer are in `test_hold.py` and `test_transfer.py`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.agent.carrying import NAME, Pair, pair
from tests.agent.server import AgentFailed

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SHARED = f"/srv/{NAME}/shared"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as made:
        made.old.launch("here")
        yield made


@pytest.fixture
def both(servers: Pair) -> Pair:
    """An app with two entries that serves on the old server; nothing on the new one."""
    servers.new.wipe()
    servers.old.server.agent("resume", {"force": True})
    servers.old.server.shell(f"find {SHARED} -mindepth 1 -delete; install -d -o {NAME} -g {NAME} {SHARED}/data")
    servers.old.server.shell(f"rm -f /srv/{NAME}/arrived.json /var/lib/slipway/databases/*.json")
    servers.old.sign("first", "second")
    return servers


def fill(both: Pair, mebibytes: int) -> str:
    """A file that takes some time to carry (1200 MiB: more than the seconds between two words about it); its digest."""
    both.old.server.shell(f"head -c {mebibytes}M /dev/urandom > {SHARED}/large && chown {NAME}: {SHARED}/large")
    return digest(both.old.server.shell(f"sha256sum {SHARED}/large"))


def digest(line: str) -> str:
    return line.split()[0]


# ------------------------------------------------------------------------------------------------------- all is well


def test_data_are_carried_and_the_old_machine_is_left_for_good(both: Pair) -> None:
    told = both.run(True)
    assert "the data of book are on the-new-one; the-old-one is left" in told
    assert both.new.stored() == ["first", "second"]
    status, body, headers = both.old.server.get()
    assert (status, headers.get("Retry-After")) == (503, "60"), body
    both.new.launch("there")
    both.new.sign("third")
    assert both.new.entries() == ["first", "second", "third"]
    both.old.server.machine.reboot()
    deadline = time.monotonic() + 60
    while both.old.server.shell("systemctl is-active nginx supervisor || true").split() != ["active", "active"]:
        assert time.monotonic() < deadline
    status, _, _ = both.old.server.get()
    assert status == 503
    assert both.old.server.shell(f"pgrep -u {NAME} || true") == ""


def test_all_apps_of_a_machine_are_carried_those_that_are_kept_for_nobody_included(both: Pair) -> None:
    old, new = both.old.server, both.new.server
    old.agent("claim", {"app": "second", "owner": "another"})
    old.agent("claim", {"app": "former", "owner": "another"})
    old.shell("echo 2 > /srv/second/shared/data/file; echo 3 > /srv/former/shared/data/file")
    old.agent("remove", {"app": "former", "owner": "another", "keep_data": True})
    try:
        both.run(True)
        assert new.shell("cat /srv/second/shared/data/file /srv/former/shared/data/file") == "2\n3\n"
        assert new.shell("stat -c %U /srv/former/shared").strip() == "root"
        assert new.shell("stat -c %U /srv/second/shared").strip() == "second"
    finally:
        old.agent("resume", {"force": True})
        for app in ("second", "former"):
            old.agent("remove", {"app": app, "owner": "another"})


def test_the_old_machine_is_found_by_its_own_address_when_the_servers_leads_to_the_new_one(both: Pair) -> None:
    both.run(True, address=both.new.host["address"], own_address=both.old.host["address"])
    assert both.new.stored() == ["first", "second"]


def test_a_run_after_one_that_was_not_recorded_finds_all_done(both: Pair) -> None:
    both.run(True)
    both.run(True)
    both.run(None)
    assert both.new.stored() == ["first", "second"]
    assert not both.old.serves()


# ----------------------------------------------------------------------------------------------- what is to be carried


def test_without_a_word_about_data_a_machine_that_has_some_is_not_replaced(both: Pair) -> None:
    told = both.fail(None)
    assert "the-new-one is to take the place of the-old-one, where there are data: book (1 files" in told
    assert "carry_data to true" in told
    assert "to false" in told
    assert both.old.serves()


def test_without_a_word_about_data_a_machine_that_has_none_is(both: Pair) -> None:
    both.old.server.shell(f"find {SHARED} -type f -delete")
    both.run(None)
    assert both.old.serves()


def test_data_that_nobody_wants_stay_on_the_old_machine(both: Pair) -> None:
    assert "they go with it" in both.run(False)
    assert both.new.stored() == []
    assert both.old.serves()


def test_databases_of_the_machine_are_data_that_cannot_be_carried(both: Pair) -> None:
    record = '{"engine": "postgresql", "name": "book", "user": "book", "owner": "x", "serial": 0}'
    both.old.server.shell(f"mkdir -p /var/lib/slipway/databases && echo '{record}' > "
                          "/var/lib/slipway/databases/postgresql-book.json")  # fmt: skip
    assert "the database postgresql/book" in both.fail(None)
    told = both.fail(True)
    assert "postgresql/book on the-old-one cannot be carried over" in told
    assert "pg_dump" in told
    assert both.old.serves()
    both.run(False)


def test_a_machine_that_cannot_be_asked_is_not_replaced_unless_its_data_may_go(both: Pair) -> None:
    nowhere = both.old.host["address"].rpartition(".")[0] + ".254"
    for wish in (None, True):
        told = both.fail(wish, address=nowhere)
        assert "the-old-one, which has the apps' data until now, cannot be asked" in told
        assert "carry_data to false" in told
    both.run(False, address=nowhere)


def test_data_that_the_new_machine_has_of_its_own_are_not_overwritten(both: Pair) -> None:
    both.new.launch("there")
    both.new.sign("own")
    told = both.fail(True)
    assert "book has data of its own here, in /srv/book/shared: nothing is overwritten" in told
    assert both.new.entries() == ["own"]
    assert both.old.serves()


def test_where_the_apps_user_is_somebody_elses_nothing_is_begun(both: Pair) -> None:
    both.new.server.shell(f"useradd --system {NAME}")
    try:
        told = both.fail(True)
    finally:
        both.new.server.shell(f"userdel {NAME}")
    assert "a user 'book' that is not Slipway's exists" in told
    assert both.old.serves()


def test_where_the_data_have_no_room_nothing_is_begun(both: Pair) -> None:
    both.old.server.shell(f"truncate -s 900G {SHARED}/huge")
    told = both.fail(True)
    assert "there is no room for the data of book: " in told
    assert "MiB are needed on the disk of /srv" in told
    assert "stand still" not in told
    assert both.old.serves()


# -------------------------------------------------------------------------------------------------- what ends too early

MOMENTS = {
    "before the apps stand still": "stand still while",
    "when they stand still": "book stands still",
    "when the transfer begins": "carrying",
    "in its middle": " of 1200",
    "when the data are in place": f"are in {SHARED}",
    "when all is done": "is left",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_is_finished_by_the_next(both: Pair, moment: str) -> None:
    sum_before = fill(both, 1200 if moment == "in its middle" else 400)
    both.kill_when(MOMENTS[moment])
    assert both.old.stored() == ["first", "second"]
    both.run(True)
    assert both.new.stored() == ["first", "second"]
    assert digest(both.new.server.shell(f"sha256sum {SHARED}/large")) == sum_before
    assert not both.old.serves()
    assert both.new.server.shell("ls -A /srv") == f"{NAME}\n"


def test_a_transfer_goes_on_where_it_broke_off(both: Pair) -> None:
    fill(both, 1200)
    both.kill_when(" of 1200")
    process = both.start(True)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    there = both.new.server.shell(f"sha256sum {SHARED}/large")
    assert digest(there) == digest(both.old.server.shell(f"sha256sum {SHARED}/large"))
    moved = [float(line.split()[1]) for line in told.splitlines() if line.startswith("book: ") and " of 1200" in line]
    assert all(first >= 64 for first in moved[:1]), told  # at least a piece was there already


def test_a_lost_connection_is_made_again(both: Pair) -> None:
    before = fill(both, 1200)
    process = both.start(True)
    assert process.stderr
    lines = []
    for line in iter(process.stderr.readline, ""):
        lines.append(line)
        if " of 1200" in line and not any("going on" in other for other in lines) and len(lines) < 30:
            both.new.server.shell("pkill -f '^/usr/bin/python3 .*agent receive$' || true")
    assert process.wait(timeout=60) == 0, lines
    assert any("going on from" in line for line in lines), lines
    assert digest(both.new.server.shell(f"sha256sum {SHARED}/large")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_has_the_apps_serve_again(both: Pair, number: signal.Signals) -> None:
    fill(both, 400)
    process = both.start(True)
    assert process.stderr
    for line in iter(process.stderr.readline, ""):
        if "carrying" in line:
            assert not both.old.serves()
            process.send_signal(number)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=60) != 0
    assert "The apps on the-old-one serve again" in rest
    assert both.old.entries() == ["first", "second"]
    both.old.sign("third")
    both.run(True)
    assert both.new.stored() == ["first", "second", "third"]


def test_data_that_something_else_writes_to_are_not_carried(both: Pair) -> None:
    """An administrator's own job: what it writes after its file was sent would be lost."""
    fill(both, 200)
    both.old.server.shell(
        f"systemd-run --unit=writer sh -c 'while sleep 0.2; do date >> {SHARED}/data/job.txt; done'"
    )  # fmt: skip
    try:
        told = both.fail(True)
        assert "something besides the app writes there" in told or "is not what was announced" in told
        assert "The apps on the-old-one serve again" in told
        assert both.old.entries() == ["first", "second"]
        assert both.new.stored() == []
    finally:
        both.old.server.shell("systemctl stop writer")


def test_the_last_run_takes_over_and_an_older_one_ends_without_harm(both: Pair) -> None:
    before = fill(both, 400)
    older = both.start(True)
    assert older.stderr
    for line in iter(older.stderr.readline, ""):
        if "carrying" in line:
            os.kill(older.pid, signal.SIGSTOP)
            break
    assert older.poll() is None
    both.run(True)
    os.kill(older.pid, signal.SIGCONT)
    rest = older.stderr.read()
    assert older.wait(timeout=120) == 1
    assert "another run" in rest
    assert "serve again" not in rest
    assert not both.old.serves()
    assert digest(both.new.server.shell(f"sha256sum {SHARED}/large")) == before


def test_an_up_that_was_killed_and_is_not_wanted_any_more_is_undone_by_the_stacks_next_step(both: Pair) -> None:
    both.kill_when("book stands still")
    deadline = time.monotonic() + 30
    while both.old.serves():
        assert time.monotonic() < deadline
    both.old.app.site()
    assert both.old.entries() == ["first", "second"]
    assert both.old.hold() is None


# -------------------------------------------------------------------------------------------------------- the way back


def test_back_to_the_old_machine_when_the_new_one_never_served(both: Pair) -> None:
    both.run(True)
    both.new.app.claim()
    for wish in (None, True):
        both.run(wish, before=both.new, after=both.old)
        assert both.old.entries() == ["first", "second"]
    both.old.sign("third")
    both.run(True)
    assert both.new.stored() == ["first", "second", "third"]


def test_back_to_the_old_machine_with_what_was_written_on_the_new_one(both: Pair) -> None:
    both.run(True)
    both.new.launch("there")
    both.new.sign("third")
    assert "where there are data: book" in both.fail(None, before=both.new, after=both.old)
    both.run(True, before=both.new, after=both.old)
    assert both.old.entries() == ["first", "second", "third"]
    assert not both.new.serves()
    both.old.sign("fourth")
    both.run(True)
    both.new.server.agent("resume", {"left_to": both.old.id})
    assert both.new.stored() == ["first", "second", "third", "fourth"]


def test_back_to_the_old_machine_as_it_was_when_the_data_of_the_new_one_may_go(both: Pair) -> None:
    both.run(True)
    both.new.launch("there")
    both.new.sign("third")
    both.run(False, before=both.new, after=both.old)
    assert both.old.entries() == ["first", "second"]


def test_a_machine_that_was_left_is_not_carried_from_to_a_third_one(both: Pair) -> None:
    both.run(True)
    third = {**both.new.host, "id": "id-third"}
    told = both.fail(True, after=type(both.new)(both.new.server, third))
    assert "went from the-old-one to yet another machine" in told


def test_a_machine_that_was_left_refuses_what_its_stack_asks_of_it(both: Pair) -> None:
    both.run(True)
    with pytest.raises(AgentFailed, match=r"were carried to the machine the-new-one: here it does not serve any more"):
        both.old.app.release("again-1", {"web.py": ""})
    assert "book" in both.old.server.agent("resume", {})["refused"]
    assert not both.old.serves()
    assert both.old.server.agent("resume", {"force": True})["resumed"] == [NAME]
    assert both.old.entries() == ["first", "second"]
