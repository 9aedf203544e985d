"""`slipway`: what it asks the agent of a stack's server, over the pinned connection, and what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pulumi_slipway.cli import main, show
from pulumi_slipway.cli.stack import StackError
from tests.unit.sshserver import SshServer, new_key

HOST_PRIVATE, HOST_PUBLIC = new_key()
OTHER_PUBLIC = new_key()[1]
DEPLOY_PRIVATE, DEPLOY_PUBLIC = new_key()
NOW = 1_780_000_000.0
MESSAGE = {"who": "ada@desk", "commit": "a" * 40, "subject": "Faster [pages]", "dirty": True}
RELEASES = [
    {
        "id": "r-2",
        "state": "live",
        "staged": NOW - 100,
        "live_at": NOW - 90,
        "message": MESSAGE,
        "seconds": {"stage": 2.0, "start": 0.5, "switch": 0.01, "to_live": 2.7},
    },
    {"id": "r-1", "state": "bad", "staged": NOW, "live_at": NOW - 7300, "message": {}, "seconds": None},
]
ANSWERS: dict[str, dict[str, Any]] = {
    "releases": {"releases": RELEASES},
    "rollback": {"release": "r-1", "previous": "r-2"},
    "journal": {"entries": [{"at": "2026-11-29T10:00:00Z", "action": "release", "ok": False, "error": "no [start]"}]},
    "status": {
        "app": "shop",
        "live": "r-2",
        "slot": "blue",
        "processes": {"blue": "RUNNING", "green": "EXITED"},
        "certificate_ends": NOW + 86400 * 30,
        "agent": "0123456789ab",
        "stands_still": None,
    },
    "logs": {},
}


def agent(command: str, stdin: bytes) -> tuple[int, str, str]:
    answer = {"ok": True, **ANSWERS[command.split()[-1]]}
    return 0, json.dumps(answer), "a line of progress\n"


class Project:
    """A folder in which `pulumi stack output` prints what a test wants."""

    def __init__(self, folder: Path, server: SshServer) -> None:
        self.folder, self.server = folder, server
        host = {"address": "127.0.0.1", "port": server.port, "user": "deploy", "host_key": HOST_PUBLIC}
        self.outputs: dict[str, Any] = {"app": "shop", "host": host, "deploy_key": DEPLOY_PRIVATE}

    def run(self, *arguments: str) -> Any:
        (self.folder / "outputs.json").write_text(json.dumps(self.outputs))
        return CliRunner().invoke(main.app, [*arguments, "--cwd", str(self.folder)])

    def asked(self) -> list[tuple[str, Any]]:
        return [(command.split()[-1], json.loads(stdin)) for command, stdin in self.server.received]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat {tmp_path}/outputs.json\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with SshServer(HOST_PRIVATE, [DEPLOY_PUBLIC], agent) as server:
        yield Project(tmp_path, server)


def test_releases_are_shown_with_their_state_who_and_commit(project: Project) -> None:
    done = project.run("releases")
    assert done.exit_code == 0, done.output
    assert project.asked() == [("releases", {"app": "shop"})]
    assert "r-2" in done.output
    assert "ada@desk" in done.output
    assert "2.7 s (stage 2.0, start 0.5)" in done.output
    assert "aaaaaaaaa with changes Faster [pages]" in done.output


def test_the_answer_can_be_had_as_it_is(project: Project) -> None:
    assert json.loads(project.run("releases", "--json").output)["releases"] == RELEASES


def test_a_rollback_says_who_asks_and_for_what(project: Project) -> None:
    done = project.run("rollback", "r-1")
    ((command, request),) = project.asked()
    assert (command, request["release"], "@" in request["message"]["who"]) == ("rollback", "r-1", True)
    assert "r-1 is live" in done.output
    assert "a line of progress" in done.stderr


def test_a_rollback_without_a_release_leaves_the_choice_to_the_server(project: Project) -> None:
    project.run("rollback")
    assert "release" not in project.asked()[0][1]


def test_logs_are_printed_as_they_come(project: Project) -> None:
    assert project.run("logs", "-n", "7").stdout == "a line of progress\n"
    assert project.asked() == [("logs", {"app": "shop", "lines": 7, "process": "web"})]


def test_logs_may_be_those_of_a_worker(project: Project) -> None:
    project.run("logs", "--process", "mail.2")
    assert project.asked()[0][1]["process"] == "mail.2"


def test_a_status_tells_of_workers_and_of_the_times_of_cron() -> None:
    programs = {
        "web": {"state": "running", "as_wanted": True},
        "mail.1": {"state": "backoff", "as_wanted": False},
        "clean": {
            "state": "waiting",
            "as_wanted": True,
            "next": "Mon 04:00",
            "last": "Sun",
            "result": "oom-kill",
        },
    }
    status = {
        "app": "shop", "live": "r-1", "slot": "blue", "processes": {"blue": "RUNNING"}, "programs": programs,
        "certificate_ends": None, "agent": "x", "stands_still": None,
    }  # fmt: skip
    lines = show.status_lines(status, 0.0)
    assert "  clean: waiting, next Mon 04:00, last Sun, [red]oom-kill[/]" in lines
    assert "  mail.1: [red]backoff[/]" in lines


def test_a_failure_is_shown_in_the_journal(project: Project) -> None:
    assert "failed: no [start]" in project.run("journal").output


def test_the_stack_is_the_one_that_is_named(project: Project) -> None:
    assert "release r-2 in slot blue" in project.run("status", "--stack", "other").output
    assert "--stack other" in (project.folder / "arguments").read_text()


def test_nothing_is_said_to_a_server_with_another_host_key(project: Project) -> None:
    project.outputs["host"]["host_key"] = OTHER_PUBLIC
    done = project.run("rollback")
    assert isinstance(done.exception, StackError)
    assert "presented the host key" in str(done.exception)
    assert project.server.received == []


def test_a_stack_without_the_outputs_says_what_to_export(project: Project) -> None:
    del project.outputs["deploy_key"]
    assert "no output deploy_key" in str(project.run("releases").exception)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "5 s ago"), (90, "90 s ago"), (600, "10 min ago"), (7300, "2 h ago"), (172_900, "2 days ago")],
)
def test_moments_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert show.ago(NOW - seconds, NOW) == said


def test_what_is_longer_ago_than_a_week_is_said_by_its_day() -> None:
    assert show.ago(NOW - 8 * 86400, NOW) == "2026-05-20"
