"""Workers and timers by themselves: what is asked of supervisor, in which order, and what stands in systemd's units."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any, cast

import pytest

from pulumi_slipway.agent import paths, processes, timers, workers
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths
from pulumi_slipway.agent.processes import Processes
from pulumi_slipway.agent.record import Live
from pulumi_slipway.agent.supervisor import Process, Supervisor

_MAIL = {"name": "mail", "command": "rq worker", "count": 2}


class FakeSupervisor:
    """Knows the programs of the files that it was told to take up; those named in `busy` take long to stop."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "etc/supervisor/conf.d"
        self.programs: dict[str, str] = {}
        self._taken: dict[str, str] = {}
        self.busy: set[str] = set()
        self.calls: list[str] = []

    def _configured(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self._folder.glob("*.conf"):
            parser = configparser.RawConfigParser()
            parser.read(path)
            found |= {name.removeprefix("program:"): str(parser.items(name)) for name in parser.sections()}
        return found

    def processes(self) -> dict[str, str]:
        return dict(self.programs)

    def process(self, name: str) -> Process | None:
        return Process(self.programs[name], 1, "") if name in self.programs else None

    def reread(self) -> tuple[set[str], set[str], set[str]]:
        found = self._configured()
        changed = {name for name in found if name in self._taken and self._taken[name] != found[name]}
        return found.keys() - self._taken.keys(), changed, self._taken.keys() - found.keys()

    def add(self, names: list[str]) -> None:
        for name in names:
            self.programs[name], self._taken[name] = "STOPPED", self._configured()[name]

    def start(self, name: str) -> None:
        self.calls.append(f"start {name}")
        self.programs[name] = "RUNNING"

    def ask_to_stop(self, name: str) -> None:
        if self.programs.get(name) == "RUNNING":
            self.calls.append(f"stop {name}")
            self.programs[name] = "STOPPING" if name in self.busy else "STOPPED"

    def wait_stopped(self, name: str, within: float) -> None:
        if self.programs.get(name) == "STOPPING":
            self.calls.append(f"wait {name}")
            self.programs[name] = "STOPPED"

    def drop(self, names: list[str], within: float) -> None:
        for name in names:
            self.ask_to_stop(name)
            self.wait_stopped(name, within)
            del self.programs[name], self._taken[name]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppPaths:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return AppPaths("shop")


@pytest.fixture
def fake(app: AppPaths, tmp_path: Path) -> FakeSupervisor:
    return FakeSupervisor(tmp_path)


def _live(app: AppPaths, slot: str, release: str, **record: Any) -> Live:
    place = app.release(release)
    place.mkdir(parents=True, exist_ok=True)
    (place / "release.json").write_text(json.dumps(Processes.read(record).record()))
    return Live(slot, release, 1, "")


def _change_over(app: AppPaths, fake: FakeSupervisor, live: Live | None) -> list[str]:
    fake.calls.clear()
    workers.change_over(app, cast("Supervisor", fake), live)
    return list(fake.calls)


def test_the_old_ones_are_told_first_and_nobody_waits_for_them(app: AppPaths, fake: FakeSupervisor) -> None:
    assert _change_over(app, fake, _live(app, "blue", "r-1", workers=[_MAIL])) == [
        "start shop-blue.mail.1",
        "start shop-blue.mail.2",
    ]
    fake.busy = {"shop-blue.mail.2"}
    assert _change_over(app, fake, _live(app, "green", "r-2", workers=[_MAIL])) == [
        "stop shop-blue.mail.1",
        "stop shop-blue.mail.2",
        "start shop-green.mail.1",
        "start shop-green.mail.2",
    ]
    assert fake.programs == {
        "shop-blue.mail.2": "STOPPING",
        "shop-green.mail.1": "RUNNING",
        "shop-green.mail.2": "RUNNING",
    }
    assert not app.programs("blue").exists()


def test_one_that_must_not_overlap_waits_for_those_it_follows_alone(app: AppPaths, fake: FakeSupervisor) -> None:
    wanted = [{**_MAIL, "count": 1}, {"name": "beat", "command": "celery beat", "overlap": False}]
    _change_over(app, fake, _live(app, "blue", "r-1", workers=wanted))
    fake.busy = {"shop-blue.mail.1", "shop-blue.beat.1"}
    calls = _change_over(app, fake, _live(app, "green", "r-2", workers=wanted))
    assert calls[-3:] == ["start shop-green.mail.1", "wait shop-blue.beat.1", "start shop-green.beat.1"]


def test_with_nothing_to_do_nothing_is_touched(app: AppPaths, fake: FakeSupervisor) -> None:
    live = _live(app, "blue", "r-1", workers=[_MAIL])
    _change_over(app, fake, live)
    before = app.programs("blue").stat()
    assert _change_over(app, fake, live) == []
    assert app.programs("blue").stat() == before
    fake.programs["shop-blue.mail.1"] = "EXITED"
    assert _change_over(app, fake, live) == ["start shop-blue.mail.1"]


def test_those_of_a_slot_that_comes_back_while_they_stop_are_waited_for(app: AppPaths, fake: FakeSupervisor) -> None:
    blue, green = _live(app, "blue", "r-1", workers=[_MAIL]), _live(app, "green", "r-2", workers=[_MAIL])
    _change_over(app, fake, blue)
    fake.busy = {"shop-blue.mail.1", "shop-blue.mail.2"}
    _change_over(app, fake, green)
    calls = _change_over(app, fake, blue)
    assert calls.index("wait shop-blue.mail.1") < calls.index("start shop-blue.mail.1")
    assert fake.programs["shop-blue.mail.2"] == "RUNNING"


def test_a_release_whose_record_is_gone_keeps_what_runs(app: AppPaths, fake: FakeSupervisor) -> None:
    live = _live(app, "blue", "r-1", workers=[_MAIL], timers=[])
    _change_over(app, fake, live)
    (app.release("r-1") / "release.json").unlink()
    assert _change_over(app, fake, live) == []
    assert fake.programs == {"shop-blue.mail.1": "RUNNING", "shop-blue.mail.2": "RUNNING"}
    assert app.programs("blue").exists()
    assert timers.apply(app, live) is False


def test_an_app_that_stands_still_has_neither(app: AppPaths, fake: FakeSupervisor) -> None:
    timer = {"name": "digest", "schedule": ["daily"], "command": "x"}
    live = _live(app, "blue", "r-1", workers=[_MAIL], timers=[timer])
    _change_over(app, fake, live)
    assert len(timers.units(app, live) or {}) == 2
    app.hold.write_text(json.dumps({"token": "t", "left": False}))
    _change_over(app, fake, live)
    assert (fake.programs, timers.units(app, live)) == ({}, {})
    app.hold.write_text(json.dumps({"token": "", "left": False}))  # it is being started again
    _change_over(app, fake, live)
    assert len(fake.programs) == 2


def test_a_program_says_how_it_is_stopped_and_names_no_command_of_the_app_s(app: AppPaths) -> None:
    worker = {**_MAIL, "count": 1, "command": "echo %(x)s\n[program:evil]", "stop_signal": "INT", "stop_timeout": 90}
    text = workers.contents(app, _live(app, "blue", "r-1", workers=[worker]))[app.programs("blue")]
    assert text is not None
    parser = configparser.ConfigParser()
    parser.read_string(text.data.decode())
    assert parser.sections() == ["program:shop-blue.mail.1"]
    program = parser["program:shop-blue.mail.1"]
    assert program["command"] == "/usr/local/lib/slipway/agent slot shop blue mail.1"
    assert (program["stopsignal"], program["stopwaitsecs"]) == ("INT", "90")


def test_the_units_of_a_timer(app: AppPaths) -> None:
    timer = {
        "name": "digest", "schedule": ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"], "command": "flask digest",
        "missed": "run", "timeout": 90, "memory": 256,
    }  # fmt: skip
    units = timers.units(app, _live(app, "blue", "r-1", timers=[timer]))
    assert units is not None
    clock, job = units["slipway-shop.digest.timer"], units["slipway-shop.digest.service"]
    assert "OnCalendar=*-*-13 00:00:00\nOnCalendar=Fri *-*-* 00:00:00\n" in clock
    assert "Persistent=true" in clock
    for line in ("User=shop", "TimeoutStartSec=90", "MemoryMax=256M", "MemorySwapMax=0"):
        assert line in job.splitlines()
    assert "flask" not in job, "a release that changes no time leaves the units alone"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"workers": [{"name": "web", "command": "x"}]}, "two processes have the name 'web'"),
        ({"workers": [{"name": "A", "command": "x"}]}, "'A' is no name for a process"),
        ({"workers": [{"name": "a", "command": " "}]}, "worker a: it has no command"),
        ({"workers": [{"name": "a", "command": "x", "count": 65}]}, "a count of 65"),
        ({"workers": [{"name": "a", "command": "x", "stop_signal": "KILL"}]}, "stop_signal 'KILL' is none of TERM"),
        ({"workers": [{"name": "a", "command": "x", "stop_timeout": 0}]}, "a stop_timeout of 0"),
        ({"workers": [{"name": "a", "command": "x", "memory": 8}]}, "a memory of 8 MiB is too small"),
        ({"timers": [{"name": "a", "command": "x", "schedule": []}]}, "it has no schedule"),
        ({"timers": [{"name": "a", "command": "x", "schedule": ["daily\nUser=root"]}]}, "is no calendar event"),
        ({"timers": [{"name": "a", "command": "x", "schedule": ["daily"], "missed": "x"}]}, "neither run nor skip"),
        ({"timers": "daily"}, "'timers' must be a list of objects"),
    ],
)
def test_what_cannot_be_run_is_refused(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentError) as caught:
        processes.Processes.read(entry)
    assert said in caught.value.message
