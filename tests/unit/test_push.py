"""What is brought to a server for a release, and what is not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway import push
from pulumi_slipway.app.archive import Archive, build_archive
from pulumi_slipway.ssh import Result

UNLESS = "/srv/guestbook/releases/r-1/release.json"


class Server:
    """Stands in for a connection: files by path, and the agent's answers in turn."""

    def __init__(self, files: dict[str, int], *answers: Result) -> None:
        self.files, self.answers = files, list(answers)
        self.uploads: list[str] = []
        self.requests: list[dict[str, Any]] = []

    @contextmanager
    def sftp(self) -> Iterator[Server]:
        yield self

    def stat(self, path: str) -> Any:
        if path not in self.files:
            raise FileNotFoundError(path)
        return type("Stat", (), {"st_size": self.files[path]})

    def mkdir(self, path: str, mode: int) -> None:
        self.files[path] = 0

    def put(self, local: str, path: str) -> None:
        self.files[path] = Path(local).stat().st_size

    def posix_rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)
        self.uploads.append(new)

    def run(self, command: str, stdin: str, **_: Any) -> Result:
        assert command == "sudo -n /usr/local/lib/slipway/agent release"
        self.requests.append(json.loads(stdin))
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
        "file": {"content": archive.content, "path": "/home/deploy/incoming/a.tar.gz", "unless": UNLESS},
        "subcommand": "release",
        "document": {"release": "r-1"},
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
    server = Server({}, DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert server.uploads == ["/home/deploy/incoming/a.tar.gz"]
    (request,) = server.requests
    assert request["archive"]["content"] == archive.content
    assert set(request["message"]) == {"who", "when", "commit", "subject", "dirty"}


def test_a_release_that_is_kept_on_the_server_is_not_uploaded(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server({UNLESS: 100}, DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert server.uploads == []


def test_a_kept_release_that_turns_out_not_to_be_whole_is_uploaded_after_all(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server({UNLESS: 100}, LACKING, DONE)
    assert pushed(server, archive, monkeypatch) == 0
    assert len(server.uploads) == 1
    assert len(server.requests) == 2


def test_a_release_that_fails_is_asked_for_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Result(1, '{"ok": false, "error": "it did not start"}', "error: it did not start")
    server = Server({UNLESS: 100}, failed)
    assert pushed(server, archive, monkeypatch) == 1
    assert server.uploads == []
