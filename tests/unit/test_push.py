"""What is brought to a server for a release, and what is not."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway import push
from pulumi_slipway.app.archive import Archive, build_archive
from pulumi_slipway.ssh import Result

UNLESS = "/srv/guestbook/releases/r-1/release.json"


PATH = "/home/deploy/incoming/a.tar.gz"


class Server:
    """Stands in for a connection: what is there already, and the agent's answers in turn."""

    def __init__(self, there: set[str], *answers: Result) -> None:
        self.there, self.answers = there, list(answers)
        self.uploads: list[bytes] = []
        self.requests: list[dict[str, Any]] = []

    def run(self, command: str, stdin: Callable[[str], bytes], **_: Any) -> Result:
        assert command.endswith("\nexec sudo -n /usr/local/lib/slipway/agent release")
        told = "kept" if UNLESS in self.there and UNLESS in command else "there" if PATH in self.there else "nothing"
        archive, brace, document = stdin(told).rpartition(b'{"archive": ')
        if archive:
            self.uploads.append(archive)
            self.there.add(PATH)
        self.requests.append(json.loads(brace + document) if brace else {})
        return self.answers.pop(0)


DONE = Result(0, '{"ok": true, "release": "r-1"}', "")
LACKING = Result(1, '{"ok": false, "error": "the archive is not on this server", "code": "upload"}', "error: …")


@pytest.fixture
def archive(app_folder: Path) -> Archive:
    return build_archive(app_folder)


def pushed(server: Server, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> int:
    request = {
        "host": {"address": "10.1.2.3", "port": 22, "user": "deploy", "host_key": "ssh-ed25519 AAAA"},
        "private_key": "key",
        "file": {"content": archive.content, "path": PATH, "unless": UNLESS},
        "subcommand": "release",
        "document": {},
    }

    @contextmanager
    def connect(*_: object) -> Iterator[Server]:
        yield server

    monkeypatch.setattr(push, "connect", connect)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    return push.main()


def test_a_new_release_is_uploaded_with_its_content_and_who_asks(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(set(), DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert server.uploads == [archive.path.read_bytes()]
    (request,) = server.requests
    assert request["archive"]["content"] == archive.content
    assert set(request["message"]) == {"who", "when", "commit", "subject", "dirty"}


def test_a_release_that_is_kept_on_the_server_is_not_uploaded(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server({UNLESS}, DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert server.uploads == []


def test_a_kept_release_that_turns_out_not_to_be_whole_is_uploaded_after_all(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server({UNLESS}, LACKING, DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert len(server.uploads) == 1
    assert len(server.requests) == 2


def test_a_release_that_fails_is_asked_for_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Result(1, '{"ok": false, "error": "it did not start"}', "error: it did not start")
    server = Server({UNLESS}, failed)
    assert pushed(server, archive, monkeypatch) == 1
    assert server.uploads == []


def test_an_archive_that_is_there_is_not_uploaded_again(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server({PATH}, LACKING)
    assert pushed(server, archive, monkeypatch) == 1
    assert server.uploads == []
    assert len(server.requests) == 1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an archive is to be brought, and an agent that tells its stdin and who may read what it makes."""
    agent = tmp_path / "agent"
    agent.write_text('#!/bin/sh\necho "$1 $(umask)"; cat\n')
    agent.chmod(0o755)
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sudo.parent}:/usr/bin:/bin")
    monkeypatch.setattr(push, "AGENT", agent)
    return tmp_path / "it's incoming" / "a.tar.gz"


def run(place: Path, size: int, stdin: bytes, unless: str | None = None) -> tuple[int, list[str]]:
    command = "umask 022; " + push.script(str(place), size, unless, "release")
    done = subprocess.run(["sh", "-c", command], input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout.decode().splitlines()


def test_the_server_takes_the_archive_first_and_gives_the_rest_to_the_agent(place: Path) -> None:
    assert run(place, 5, b'bytes{"a": 1}\n') == (0, ["nothing", "release 0022", '{"a": 1}'])
    assert place.read_bytes() == b"bytes"
    assert place.stat().st_mode & 0o077 == place.parent.stat().st_mode & 0o077 == 0
    assert run(place, 5, b'{"a": 2}\n') == (0, ["there", "release 0022", '{"a": 2}'])
    assert run(place, 5, b"x", str(place)) == (0, ["kept", "release 0022", "x"])


def test_half_an_archive_is_none(place: Path) -> None:
    assert run(place, 500, b"half of it") == (1, ["nothing"])
    assert not place.exists()
    assert run(place, 5, b"whole") == (0, ["nothing", "release 0022"])
    assert place.read_bytes() == b"whole"
