"""What becomes of data is decided by what both machines say; and a server's address is waited for with patience."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from pulumi_slipway import arrive, carry, carry_relay, machine
from pulumi_slipway.agent import hold
from pulumi_slipway.arrive import NotArrivedError
from pulumi_slipway.carry import Plan, make_plan
from pulumi_slipway.carry_relay import NotSentError
from pulumi_slipway.machine import AgentFailedError
from pulumi_slipway.ssh import SshError, WrongHostKeyError
from tests.unit.sshserver import SshServer, new_key

HOST_PRIVATE, HOST_PUBLIC = new_key()
OTHER_PRIVATE, OTHER_PUBLIC = new_key()
DEPLOY_PRIVATE, DEPLOY_PUBLIC = new_key()


def host(**changes: Any) -> dict[str, Any]:
    known = {"id": "one", "name": "the-one", "address": "127.0.0.1", "private_address": "127.0.0.1", "port": 22}
    return {**known, "user": "deploy", "host_key": HOST_PUBLIC, "proxy": "", **changes}


def app(**changes: Any) -> dict[str, Any]:
    known = {"owner": "o", "files": 3, "bytes": 10, "served": True, "arrived_from": None, "left_to": None}
    return {**known, **changes}


def says(databases: tuple[str, ...] = (), **apps: dict[str, Any]) -> dict[str, Any]:
    return {"apps": apps, "databases": list(databases)}


def plan(old: Mapping[str, Any], new: Mapping[str, Any]) -> Plan:
    return make_plan(old, "old", new, "new")


def run(
    module: str, request: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {"PULUMI_COMMAND_STDOUT": json.dumps(before)} if before is not None else {}
    return subprocess.run(
        [sys.executable, "-m", f"pulumi_slipway.{module}"],
        input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- the plan


def test_an_app_with_data_is_carried_one_without_is_not() -> None:
    found = plan(says(book=app(), empty=app(files=0)), says())
    assert (set(found.carry), set(found.leave), found.back) == ({"book"}, set(), False)


def test_data_that_the_new_machine_was_given_already_are_not_carried_again() -> None:
    found = plan(says(book=app(left_to="new")), says(book=app(arrived_from="old", served=False)))
    assert (set(found.carry), set(found.leave), found.elsewhere) == (set(), {"book"}, ())


def test_data_that_went_to_a_third_machine_are_told() -> None:
    assert plan(says(book=app(left_to="third")), says()).elsewhere == ("book",)


def test_back_to_a_machine_that_was_left_only_what_was_used_is_carried() -> None:
    old = says(used=app(arrived_from="new"), unused=app(arrived_from="new", served=False))
    found = plan(old, says(used=app(left_to="old"), unused=app(left_to="old")))
    assert (set(found.carry), set(found.leave), found.back) == ({"used"}, {"unused"}, True)


def test_back_to_a_machine_that_serves_again_already() -> None:
    found = plan(says(book=app(arrived_from="new", served=False)), says(book=app()))
    assert (set(found.carry), found.back) == (set(), False)


def test_data_that_came_from_a_third_machine_are_the_only_ones_also_where_nobody_used_them() -> None:
    found = plan(says(book=app(arrived_from="third", served=False)), says())
    assert set(found.carry) == {"book"}


def test_data_that_somebody_brought_before_the_first_release_count() -> None:
    assert set(plan(says(book=app(served=False)), says()).carry) == {"book"}


def test_databases_of_the_machine_are_told() -> None:
    assert plan(says(("postgresql/book",)), says()).databases == ("postgresql/book",)


def test_the_message_names_the_time_that_the_agent_goes_by() -> None:
    assert carry.LEASE_MINUTES * 60 == hold.LEASE


# -------------------------------------------------------------------------------------------------------- the transfer


class Target:
    """A machine that says how far it is; an exception stands for a question that it does not answer."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers, self.asked = list(answers), list[bool]()

    def ask(self, _subcommand: str, document: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        assert timeout > 0
        self.asked.append(document["first"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def partial(index: int) -> dict[str, Any]:
    return {"state": "partial", "index": index, "offset": 0, "bytes": index}


def bring(target: Target, monkeypatch: pytest.MonkeyPatch, broken: Exception | None = None) -> list[tuple[int, int]]:
    """From where each attempt goes on; all of them break when there is an error to break with."""
    monkeypatch.setattr(carry_relay, "_PAUSE", 0.0)
    begun: list[tuple[int, int]] = []

    def carry_on(_parcel: Any, _source: Any, _target: Any, position: tuple[int, int], _there: int) -> None:
        begun.append(position)
        if broken is not None:
            raise broken

    monkeypatch.setattr(carry_relay, "_carry_on", carry_on)
    source = machine.Machine(host(), DEPLOY_PRIVATE)
    carry_relay.bring(carry_relay.Parcel("book", "o", "0" * 64, 9, 9, "token"), source, target)  # type: ignore[arg-type]
    return begun


def test_a_transfer_goes_on_from_where_the_other_side_is_as_long_as_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(*(partial(index) for index in range(8)), {"state": "complete"})
    begun = bring(target, monkeypatch, SshError("the line is bad"))
    assert [index for index, _ in begun] == list(range(8))
    assert target.asked == [True] + [False] * 8


def test_a_transfer_without_progress_is_given_up_with_the_last_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(partial(3))
    with pytest.raises(NotSentError, match="the line is bad"):
        bring(target, monkeypatch, SshError("the line is bad"))
    assert len(target.asked) == carry_relay.TRIES


def test_a_machine_that_does_not_answer_for_a_while_is_asked_again_as_the_same_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = Target(partial(0), SshError("no network"), SshError("no network"), partial(4), {"state": "placed"})
    begun = bring(target, monkeypatch)
    assert [index for index, _ in begun] == [0, 4]
    assert target.asked == [True, False, False, False, False]


def test_what_an_agent_refuses_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(AgentFailedError("another run has taken over"))
    with pytest.raises(AgentFailedError):
        bring(target, monkeypatch)
    assert target.asked == [True]


# -------------------------------------------------------------------------------------------------------- the program


@pytest.mark.parametrize("before", [None, {**host(), "own_address": "127.0.0.1", "since": 7}])
@pytest.mark.parametrize("wish", [None, True, False])
def test_the_first_machine_and_the_same_one_are_only_told(before: Mapping[str, Any] | None, wish: bool | None) -> None:
    request = {"host": host(), "address": "203.0.113.7", "private_key": DEPLOY_PRIVATE, "carry_data": wish}
    done = run("carry", request, before)
    printed = json.loads(done.stdout)
    since = printed.pop("since")
    assert printed.pop("former") == ""
    assert since == 7 if before else time.time() - 60 < since <= time.time()
    assert printed == {**host(), "address": "203.0.113.7", "own_address": "127.0.0.1"}
    assert done.stderr == ""


def test_another_machine_tells_where_the_one_before_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(carry, "settle", lambda _before, _request: None)
    request = {"host": host(), "address": "203.0.113.7", "private_key": DEPLOY_PRIVATE, "carry_data": False}
    before = {**host(), "id": "two", "own_address": "127.0.0.9", "since": 7, "former": "127.0.0.8"}
    for _ in range(2):  # when it is told again, nothing has changed
        monkeypatch.setenv("PULUMI_COMMAND_STDOUT", json.dumps(before))
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
        assert carry.main() == 0
        before = json.loads(capsys.readouterr().out)
        assert before["former"] == "127.0.0.9"


# ---------------------------------------------------------------------------------------------------------- the address


def nothing(_command: str, _stdin: bytes) -> tuple[int, str, str]:
    return 0, "", ""


def arriving(wanted: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    return run("arrive", {"host": wanted, "since": 7, "private_key": DEPLOY_PRIVATE, "timeout": 20}, before)


def test_a_machine_that_answers_has_arrived() -> None:
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], nothing) as server:
        wanted = host(port=server.port)
        done = arriving(wanted)
    assert json.loads(done.stdout) == {**wanted, "since": 7}
    assert "the-one answers at 127.0.0.1" in done.stderr


def test_one_that_has_arrived_before_is_not_asked() -> None:
    done = arriving(host(port=1), {**host(), "since": 7})
    assert (done.returncode, json.loads(done.stdout)["port"], done.stderr) == (0, 1, "")


@pytest.mark.parametrize("change", [{"id": "two"}, {"address": "127.0.0.2"}, {"since": 6}])
def test_another_machine_or_address_or_one_that_comes_back_is_waited_for(change: Mapping[str, Any]) -> None:
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], nothing) as server:
        wanted = host(port=server.port)
        done = arriving(wanted, {**wanted, "since": 7, **change})
    assert "waiting for" in done.stderr
    assert done.returncode == 0


def test_an_address_where_nobody_answers_is_given_up_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(NotArrivedError, match=r"did not answer at 127\.0\.0\.1:1 within 2 s. Last seen: .*refused"):
        arrive.wait(host(port=1), DEPLOY_PRIVATE, 2)
    assert time.monotonic() - began < 5


def test_the_former_machine_at_the_address_is_sent_nothing_and_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrive, "_PAUSE_WRONG_KEY", 0.1)
    with SshServer(OTHER_PRIVATE, [DEPLOY_PUBLIC], nothing) as server:

        def goes_over() -> None:
            server.host_key = HOST_PRIVATE

        threading.Timer(1.0, goes_over).start()
        arrive.wait(host(port=server.port), DEPLOY_PRIVATE, 20)
    assert server.received == []


def test_a_wrong_key_that_stays_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arrive, "_PAUSE_WRONG_KEY", 0.1)
    monkeypatch.setattr(arrive, "WRONG_KEY_PATIENCE", 0.5)
    with (
        SshServer(OTHER_PRIVATE, [DEPLOY_PUBLIC], nothing) as server,
        pytest.raises(WrongHostKeyError, match="Nothing was sent to it"),
    ):
        arrive.wait(host(port=server.port), DEPLOY_PRIVATE, 20)
    assert server.received == []
    assert capsys.readouterr().err.count("another machine still answers") == 1
