"""The archive: what is in it, and that it is the same for the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pulumi_slipway.app.archive import ArchiveError, build_archive


def names(folder: Path, parts: Sequence[str] = ()) -> list[str]:
    with tarfile.open(build_archive(folder, parts=parts).path) as tar:
        return tar.getnames()


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, timeout=20)


def test_the_same_files_give_the_same_bytes_wherever_and_whenever(app_folder: Path, tmp_path: Path) -> None:
    first = build_archive(app_folder)
    other = tmp_path / "elsewhere"
    shutil.copytree(app_folder, other)
    for file in other.rglob("*"):
        os.utime(file, (1, 1))
    assert build_archive(other).content == first.content


def test_a_changed_byte_and_a_changed_exec_bit_change_it(app_folder: Path) -> None:
    first = build_archive(app_folder).content
    (app_folder / "app.py").chmod(0o755)
    second = build_archive(app_folder).content
    (app_folder / "app.py").write_text("x = 1\n")
    assert len({first, second, build_archive(app_folder).content}) == 3


def test_without_git_all_files_are_taken_but_environments_and_caches(app_folder: Path) -> None:
    (app_folder / ".venv" / "lib").mkdir(parents=True)
    (app_folder / ".venv" / "lib" / "x.py").write_text("")
    (app_folder / "__pycache__").mkdir()
    (app_folder / "__pycache__" / "app.pyc").write_text("")
    assert names(app_folder) == ["app.py", "requirements.txt", "static/site.css"]


def test_with_git_tracked_files_and_untracked_ones_that_are_not_ignored_are_taken(app_folder: Path) -> None:
    git(app_folder, "init", "-q")
    (app_folder / ".gitignore").write_text("*.db\nbuild/\n")
    git(app_folder, "add", ".")
    git(app_folder, "commit", "-qm", "x")
    (app_folder / "local.db").write_text("data")
    (app_folder / "new.py").write_text("")
    (app_folder / "requirements.txt").unlink()
    assert names(app_folder) == [".gitignore", "app.py", "new.py", "static/site.css"]


def test_a_folder_that_git_ignores_as_a_whole_is_taken_with_all_files(app_folder: Path) -> None:
    git(app_folder.parent, "init", "-q")
    (app_folder.parent / ".gitignore").write_text(f"{app_folder.name}/\n")
    assert names(app_folder) == ["app.py", "requirements.txt", "static/site.css"]


def test_a_git_that_fails_is_an_error_and_no_reason_to_take_ignored_files(app_folder: Path) -> None:
    git(app_folder, "init", "-q")
    (app_folder / ".git" / "HEAD").write_text("broken")
    with pytest.raises(ArchiveError, match="git cannot list the files of .*not a git repository"):
        build_archive(app_folder)


def test_slipwayignore_takes_away_more(app_folder: Path) -> None:
    (app_folder / ".slipwayignore").write_text("static/\n*.txt\n!requirements.txt\n")
    (app_folder / "notes.txt").write_text("")
    assert names(app_folder) == [".slipwayignore", "app.py", "requirements.txt"]


def test_a_link_within_the_folder_stays_a_link(app_folder: Path) -> None:
    (app_folder / "link.py").symlink_to("app.py")
    with tarfile.open(build_archive(app_folder).path) as tar:
        assert tar.getmember("link.py").linkname == "app.py"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_a_link_that_leads_out_is_refused(app_folder: Path, target: str) -> None:
    (app_folder / "link").symlink_to(target)
    with pytest.raises(ArchiveError, match="link"):
        build_archive(app_folder)


def test_a_missing_folder_is_told_with_its_path() -> None:
    with pytest.raises(ArchiveError, match="'nowhere' is not a folder; give the folder"):
        build_archive(Path("nowhere"))


def test_an_empty_folder_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveError, match="holds no files to release"):
        build_archive(tmp_path / "empty")


def test_above_the_limit_the_largest_file_and_the_remedy_are_told(app_folder: Path) -> None:
    (app_folder / "video.mp4").write_bytes(bytes(2 * 1024 * 1024))
    with pytest.raises(ArchiveError, match=r"over the limit of 1 MiB \(largest: video.mp4\).*archive_limit"):
        build_archive(app_folder, limit_mib=1)
