"""A release of a commit: its files, whatever the working tree holds."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pulumi_slipway.app.archive import ArchiveError, build_archive, checkouts
from pulumi_slipway.app.checked import check
from pulumi_slipway.app.checkout import check_out

from .trees import write

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the app in `shop/`, one commit tagged v1 and another on main."""
    folder = tmp_path / "repository"
    write(folder, {"shop/app.py": FLASK, "shop/run.sh": "#!/bin/sh\n", "shop/.gitignore": "*.db\n", "README.md": "x"})
    (folder / "shop/run.sh").chmod(0o755)
    (folder / "shop/link").symlink_to("run.sh")
    git(folder, "init", "-q", "-b", "main")
    write(folder, {"shop/kept.db": "tracked although it is ignored"})
    git(folder, "add", "--force", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    write(folder, {"shop/app.py": FLASK + "# two\n", "shop/Procfile": "web: gunicorn app:app --threads 2\n"})
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    return folder


def test_a_commit_is_released_as_a_clean_working_tree_is(repository: Path) -> None:
    clean = build_archive(repository / "shop")
    write(repository, {"shop/app.py": "changed", "shop/new.py": ""})
    for ref in ("main", "HEAD", git(repository, "rev-parse", "HEAD")):
        assert build_archive(check_out(repository / "shop", ref)).content == clean.content
    assert build_archive(repository / "shop").content != clean.content
    assert (repository / "shop/app.py").read_text() == "changed"
    assert git(repository, "status", "--porcelain").split() == ["M", "shop/app.py", "??", "shop/new.py"]


def test_what_is_found_is_that_of_the_commit(repository: Path) -> None:
    arguments = {"path": str(repository / "shop")}
    assert check({**arguments, "ref": "v1"}).recipe.options == {}  # type: ignore[typeddict-item]
    assert check({**arguments, "ref": "main"}).recipe.options == {"threads": 2}  # type: ignore[typeddict-item]
    assert check({**arguments, "ref": "v1"}).name == "shop"  # type: ignore[typeddict-item]


def test_a_folder_above_with_git_of_its_own_has_no_say(repository: Path) -> None:
    checkouts().mkdir(parents=True)
    git(checkouts(), "init", "-q")
    (checkouts() / ".gitignore").write_text("*.py\n")
    assert build_archive(check_out(repository / "shop", "v1")).files == 5


@pytest.mark.parametrize(
    ("folder", "ref", "message"),
    [
        ("shop", "v2", "ref: 'v2' names no commit that the repository of .* has; `git fetch` brings"),
        ("shop", "--help", "ref: '--help' names no commit"),
        ("shop", "v1:shop", "ref: 'v1:shop' names no commit"),
        ("later", "v1", "path: 'later' is not in the commit [0-9a-f]{12} that ref 'v1' names"),
        ("gone", "v1", "path: .*gone' is not a folder"),
        ("../plain", "v1", "ref: 'v1' cannot be looked up: .* is in no git work tree; leave ref out"),
    ],
)
def test_what_cannot_be_released_is_told(repository: Path, folder: str, ref: str, message: str) -> None:
    (repository / "later").mkdir()
    (repository.parent / "plain").mkdir()
    with pytest.raises(ArchiveError, match=message):
        check_out(repository / folder, ref)


def test_a_submodule_is_refused(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},shop/lib")
    git(repository, "commit", "-qm", "three")
    with pytest.raises(ArchiveError, match="ref: shop/lib is a submodule"):
        check_out(repository / "shop", "main")
    assert check_out(repository / "shop", "v1").is_dir()


def test_checkouts_that_are_long_unused_are_forgotten(repository: Path) -> None:
    first = check_out(repository, "v1")
    long_ago = time.time() - 40 * 86400
    os.utime(first, (long_ago, long_ago))
    check_out(repository, "main")
    assert not first.exists()
