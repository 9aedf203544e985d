"""`strategy: stop-first` on a server whose memory holds one copy of an app: what fits, what it costs, what is told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pulumi_slipway.bootstrap import Machine as Description
from pulumi_slipway.bootstrap import render_user_data
from tests.agent.server import AgentFailed, App, Server, key_pair, source
from tests.machines import machine

pytestmark = pytest.mark.long

_LIMIT = 512
_BALLAST = 300
"""MiB that each copy of the app holds: one fits beside the system, two do not."""

_LARGE = f"BALLAST = bytearray(b'x') * ({_BALLAST} << 20)"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app on a server of its own that has `_LIMIT` MiB of memory."""
    keys = tmp_path_factory.mktemp("keys")
    description = Description("small", key_pair(keys, "ecdsa"), [key_pair(keys, "ed25519").public])
    with machine(render_user_data(description), memory=_LIMIT) as box:
        server = Server(box)
        server.install_agent()
        app = App(server, "small")
        app.claim()
        app.site()
        yield app


def _release(app: App, release: str, strategy: str, extra: str = "", **changes: Any) -> dict[str, Any]:
    files = source(release, extra=f"{_LARGE}\n{extra}")
    return app.release(
        release, files, strategy=strategy, environment={"WEB_CONCURRENCY": "1"}, **{"drain": 3, **changes}
    )


def _killed_for_memory(app: App) -> int:
    """How often gunicorn found a worker of the app killed."""
    return int(app.server.shell(f"cat /var/log/slipway/{app.name}/*.log | grep -c 'SIGKILL' || true"))


def _last_entry(app: App) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(app.server.shell(f"tail -n 1 /srv/{app.name}/journal.jsonl"))
    return entry


def test_two_copies_do_not_fit_but_stopping_the_first_one_makes_room(small: App) -> None:
    _release(small, "one", "stop-first")
    assert small.server.text() == "one"
    with small.server.visited() as visits:
        answer = _release(small, "two", "stop-first")
    assert small.server.text() == "two"
    assert small.observe()["live"] == "two"

    gone = answer["seconds"]["without_service"]
    assert 0 < gone < 20
    assert _last_entry(small)["seconds_of"]["without_service"] == gone
    assert visits.texts() == ["one", "two"], "no answer came from anything else"
    assert {failure for failure in visits.failures if not failure.startswith("status 502")} == set()

    assert _killed_for_memory(small) == 0
    with contextlib.suppress(AgentFailed):  # whether it fails depends on which of the two the kernel kills
        _release(small, "three", "start-first")
    assert _killed_for_memory(small) > 0, "two copies fitted: the limit of this test's machine is too large"


def test_the_seconds_without_service_are_told_while_it_happens(small: App) -> None:
    _settle(small, "told-1")
    request = small.release_request("told-2", source("told-2", extra=_LARGE), strategy="stop-first", drain=3)
    request["environment"] = {"WEB_CONCURRENCY": "1"}
    done = small.server.run_agent("release", request)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    stops = next(i for i, line in enumerate(said) if line.startswith("stop-first: told-1 stops, and nothing answers"))
    healthy = next(i for i, line in enumerate(said) if line.startswith("healthy after"))
    ends = next(i for i, line in enumerate(said) if line.startswith("there was no service for "))
    assert stops < healthy < ends


def test_a_release_that_fails_its_health_check_brings_the_old_one_back(small: App) -> None:
    _settle(small, "good")
    with small.server.visited() as visits, pytest.raises(AgentFailed) as caught:
        _release(small, "bad", "stop-first", extra="raise RuntimeError('the planets are wrong')")
    assert small.server.text() == "good"
    assert "good serves again, after " in str(caught.value)
    assert "the planets are wrong" in str(caught.value)
    assert visits.texts() == ["good"]
    observed = small.observe()
    assert observed["live"] == "good"
    entry = _last_entry(small)
    assert (entry["ok"], entry["release"]) == (False, "bad")
    assert entry["seconds_of"]["without_service"] > 0
    running = [line.split()[0] for line in small.server.shell("supervisorctl status", check=False).splitlines()
               if "RUNNING" in line or "STARTING" in line]  # fmt: skip
    assert running == [f"small-{observed['slot']}"]


def test_requests_in_progress_are_answered_before_the_old_one_stops(small: App) -> None:
    _settle(small, "slow-1")
    seen: list[str] = []
    visitor = threading.Thread(target=lambda: seen.append(small.server.text("/slow")))
    visitor.start()
    time.sleep(0.3)
    _release(small, "slow-2", "stop-first")
    visitor.join(20)
    assert seen == ["slow-1"]


def test_killed_while_nothing_serves_the_next_run_or_a_reboot_brings_the_old_one_back(small: App) -> None:
    _settle(small, "before")
    for rescue in ("run", "reboot"):
        request = small.release_request("stuck", source("stuck", extra=f"{_LARGE}\ntime.sleep(300)"),
                                        strategy="stop-first", drain=3)  # fmt: skip
        request["environment"] = {"WEB_CONCURRENCY": "1"}
        script = (
            "cat > /root/request; /usr/local/lib/slipway/agent release < /root/request >/dev/null 2>/root/said & "
            "for i in $(seq 300); do grep -q '^stop-first' /root/said && break; sleep 0.1; done; sleep 2; "
            "pkill -9 -f 'slipway/agent release'; true"
        )
        small.server.machine.root_run(["sh", "-c", script], json.dumps(request), 60)
        with pytest.raises(AssertionError):
            small.server.text()
        if rescue == "run":
            answer = small.release("before", source("before", extra=_LARGE), strategy="stop-first",
                                   environment={"WEB_CONCURRENCY": "1"}, drain=3)  # fmt: skip
            assert answer["changed"] is False
        else:
            small.server.machine.reboot()
        small.server.wait_for("before")
        assert small.observe()["live"] == "before"


def test_a_rollback_goes_by_what_was_last_said_of_the_server(small: App) -> None:
    _settle(small, "first")
    _release(small, "second", "stop-first")
    answer = small.server.agent("rollback", {"app": small.name, "owner": "owner-of-the-tests"})
    assert answer["release"] == "first"
    assert answer["seconds"]["without_service"] > 0
    assert small.server.text() == "first"


def test_an_unknown_strategy_is_refused_before_anything_is_done(small: App) -> None:
    with pytest.raises(AgentFailed, match="strategy: 'rolling' is neither start-first nor stop-first"):
        _release(small, "never", "rolling")


def _settle(app: App, release: str) -> None:
    """Have `release` serve, whatever an earlier test left."""
    _release(app, release, "stop-first")
    assert app.server.text() == release
