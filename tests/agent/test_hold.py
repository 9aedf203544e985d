"""An app that stands still: nobody writes to its data, visitors are told, and it serves again as it did."""

from __future__ import annotations

import http.client
import json
import secrets
import time

import pytest

from tests.agent.server import AgentFailed, App

pytestmark = pytest.mark.timeout(300)

TO = {"id": "other", "name": "the-other"}


@pytest.fixture
def held(app: App) -> App:
    """An app that stands still; at the end it serves again."""
    app.server.agent("hold", {"token": "one", "to": TO})
    return app


@pytest.fixture(autouse=True)
def serving(app: App) -> object:
    yield
    app.server.agent("resume", {"force": True})
    assert app.server.text() == "old"


def reboot(app: App) -> None:
    app.server.machine.reboot()
    deadline = time.monotonic() + 60
    while app.server.shell("systemctl is-system-running || true").strip() in ("starting", "initializing"):
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_visitors_are_told_to_come_again_and_nothing_of_the_app_runs(held: App) -> None:
    status, body, headers = held.server.get()
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "60", "no-store")
    assert "moved to another machine" in body
    plain = http.client.HTTPConnection(held.server.address, timeout=10)
    plain.request("GET", "/")
    assert plain.getresponse().status == 503
    assert held.server.shell(f"pgrep -u {held.name} || true") == ""
    assert held.status()["stands_still"] == TO["name"]


def test_it_stands_still_after_a_reboot_too(held: App) -> None:
    reboot(held)
    assert held.server.get()[0] == 503
    assert held.server.shell(f"pgrep -u {held.name} || true") == ""
    assert held.server.shell("systemctl is-active slipway-hold.timer").strip() == "active"


def test_visits_in_progress_are_answered(app: App) -> None:
    with app.server.visited(rate=30) as visits:
        app.server.agent("hold", {"token": "one", "to": TO})
        app.server.agent("resume", {"token": "one"})
    assert set(visits.failures) <= {"status 503"}
    assert visits.texts() == ["old"]


def test_it_serves_again_exactly_as_before(app: App) -> None:
    before = app.observe()
    app.server.agent("hold", {"token": "one", "to": TO})
    app.server.agent("hold", {"token": "one", "to": TO})
    assert app.observe() != before
    assert app.server.agent("resume", {"token": "one"})["resumed"] == [app.name]
    assert app.observe() == before
    assert app.server.text() == "old"
    assert app.server.agent("resume", {"token": "one"})["resumed"] == []


def test_the_last_run_holds_it_and_an_older_one_cannot_end_that(held: App) -> None:
    held.server.agent("hold", {"token": "two", "to": TO})
    refused = held.server.agent("resume", {"token": "one"})["refused"]
    assert "another run carries its data" in refused[held.name]
    with pytest.raises(AgentFailed, match="another run has taken over"):
        held.server.agent("leave", {"token": "one"})
    assert held.server.get()[0] == 503


def test_a_machine_is_only_left_while_it_stands_still(held: App) -> None:
    held.server.agent("resume", {"token": "one"})
    with pytest.raises(AgentFailed, match="does not stand still any more"):
        held.server.agent("leave", {"token": "one"})


def test_it_serves_again_by_itself_when_its_run_is_not_heard_of(held: App) -> None:
    assert held.server.agent("lapse", {})["lapsed"] == []
    held.server.shell(f"touch -d '-16 min' /srv/{held.name}/hold.json")
    assert held.server.agent("lapse", {})["lapsed"] == [held.name]
    assert held.server.text() == "old"
    assert held.server.shell("systemctl is-active slipway-hold.timer || true").strip() == "inactive"


def test_it_serves_again_after_a_boot_when_its_run_is_not_heard_of(held: App) -> None:
    held.server.shell(f"touch -d '-16 min' /srv/{held.name}/hold.json")
    held.server.machine.reboot()
    held.server.wait_for("old", within=60)


def test_one_that_was_left_does_not_serve_by_itself(held: App) -> None:
    held.server.agent("leave", {"token": "one"})
    held.server.shell(f"touch -d '-16 min' /srv/{held.name}/hold.json")
    assert held.server.agent("lapse", {})["lapsed"] == []
    reboot(held)
    assert held.server.get()[0] == 503
    assert held.server.agent("resume", {})["resumed"] == []
    assert held.server.agent("resume", {"left_to": "a third"})["resumed"] == []
    assert held.server.agent("resume", {"left_to": TO["id"]})["resumed"] == [held.name]


@pytest.mark.parametrize("command", ["release", "rollback", "site"])
def test_what_its_stack_asks_for_has_it_serve_again_first(held: App, command: str) -> None:
    if command == "release":
        record = json.loads(held.server.shell(f"cat /srv/{held.name}/live/release.json"))
        request = held.release_request(record["release"], {"web.py": secrets.token_hex(4)})
        held.server.agent("release", request)
    elif command == "site":
        held.site()
    else:
        with pytest.raises(AgentFailed, match="no earlier good release|not on this server"):
            held.server.agent("rollback", {"app": held.name, "release": "never-was"})
    assert held.server.text() == "old"


def test_a_hold_that_was_killed_at_any_point_is_done_by_the_next_or_undone(app: App) -> None:
    before = app.observe()
    request = json.dumps({"token": "one", "to": TO})
    for milliseconds in (150, 250, 350, 450, 600, 900):
        app.server.shell(
            f"echo '{request}' | /usr/local/lib/slipway/agent hold >/dev/null 2>&1 & sleep {milliseconds / 1000}; "
            "pkill -9 -f '^/usr/bin/python3 .*agent hold$'; true"
        )
        if milliseconds % 100:
            app.server.agent("hold", {"token": "one", "to": TO})
            assert app.server.get()[0] == 503
        app.server.agent("resume", {"force": True})
        assert app.observe() == before
        assert app.server.text() == "old"
