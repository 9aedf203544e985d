"""What git tells of a source, and that it is told to the server without being an input of anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pulumi_slipway.app.origin import Origin, commits_between, find_origin, message, note_origin


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, subject: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "app").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "app" / "app.py").write_text("one")
    return folder


def test_a_commit_has_an_id_and_a_subject_and_is_dirty_with_changes_in_the_folder_alone(repository: Path) -> None:
    head = commit(repository, "First: an app")
    assert find_origin(repository / "app") == Origin(head, "First: an app", dirty=False)
    (repository / "notes").write_text("beside the app")
    assert not find_origin(repository / "app").dirty
    (repository / "app" / "new.py").write_text("not committed")
    assert find_origin(repository / "app").dirty
    assert not find_origin(repository / "app", "HEAD").dirty


def test_a_folder_without_git_or_without_a_commit_has_no_origin(tmp_path: Path, repository: Path) -> None:
    assert find_origin(tmp_path) == Origin()
    assert find_origin(repository / "app") == Origin()


def test_commits_are_counted_forwards_and_backwards_and_not_between_branches(repository: Path) -> None:
    first = commit(repository, "1")
    commit(repository, "2")
    third = commit(repository, "3")
    assert commits_between(repository, first, third) == 2
    assert commits_between(repository, third, first) == -2
    assert commits_between(repository, third, third) == 0
    git(repository, "checkout", "--quiet", "-b", "other", first)
    assert commits_between(repository, third, commit(repository, "4")) is None
    assert commits_between(repository, "f" * 40, third) is None


def test_the_message_is_of_who_runs_it_and_of_the_commit_that_was_noted(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    note_origin("c0ffee", Origin("a" * 40, "Faster", dirty=True))
    told = message("c0ffee")
    assert told.pop("who").startswith("ada@")
    assert told.pop("when").endswith("Z")
    assert told == {"commit": "a" * 40, "subject": "Faster", "dirty": True}
    assert message("never noted")["commit"] is None


def test_two_checkouts_of_one_source_have_notes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        note_origin("c0ffee", Origin("a" * 40, name))
    monkeypatch.chdir(tmp_path / "one")
    assert message("c0ffee")["subject"] == "one"
    monkeypatch.chdir(tmp_path)  # where nobody noted anything: the last one
    assert message("c0ffee")["subject"] == "other"
