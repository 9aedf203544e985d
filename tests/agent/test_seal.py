"""Whether a release and its environment are as they were made: by metadata first, by content where that counts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pulumi_slipway.agent import files, paths, seal, users, variables
from pulumi_slipway.agent.paths import AppPaths
from pulumi_slipway.agent.users import User

RECORD = {"release": "r-1", "venv": "v", "env": "e"}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppPaths:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    app = AppPaths("shop")
    code = app.release("r-1") / "code"
    (code / "pages").mkdir(parents=True)
    (code / "app.py").write_text("app = None")
    (code / "pages" / "a.html").write_text("<p>")
    (code / "data").symlink_to("/srv/shop/shared/data")
    seal.seal_release(app.release("r-1"))
    (app.venvs / "v" / "bin").mkdir(parents=True)
    (app.venvs / "v" / "lib.py").write_text("x = 1")
    (app.venvs / "v" / ".slipway-complete").write_text("{}")
    seal.seal_environment(app.venvs / "v")
    return app


def spoil(app: AppPaths, command: str) -> None:
    """Runs a shell command in the release's folder."""
    subprocess.run(["sh", "-c", command], cwd=app.release("r-1"), check=True)


def test_what_nobody_touched_is_whole_and_nothing_but_metadata_is_read(
    app: AppPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(files, "sha256_file", read)
    assert seal.damage(app, RECORD) == []


CHANGES = {
    "echo more >> code/app.py": ["code/app.py"],
    "rm code/pages/a.html": ["code/pages/a.html"],
    "touch code/added.py": ["code/added.py"],
    "chmod 600 code/app.py": ["code/app.py"],
    "ln -sfn /etc code/data": ["code/data"],
    "rm -r code/pages": ["code/pages", "code/pages/a.html"],
    "chmod 700 code/pages": ["code/pages"],
    "rm -r code": ["code"],
    "rm code/app.py && mkdir code/app.py": ["code/app.py"],
}


@pytest.mark.parametrize("command", CHANGES)
def test_each_change_of_a_release_is_named(app: AppPaths, command: str) -> None:
    spoil(app, command)
    assert seal.damage(app, RECORD) == CHANGES[command]


@pytest.mark.parametrize(
    "command",
    [
        "touch code/app.py",
        "cp -a code c && rm -r code && mv c code",
        "mkdir -p code/__pycache__; touch code/__pycache__/a.pyc",
    ],
)
def test_what_has_the_same_content_is_no_damage(app: AppPaths, command: str) -> None:
    spoil(app, command)
    assert seal.damage(app, RECORD) == []


def test_the_same_size_and_time_do_not_hide_another_content(app: AppPaths) -> None:
    path = app.release("r-1") / "code" / "app.py"
    state = path.stat()
    path.with_suffix(".new").write_text("app = Nona")
    os.utime(path.with_suffix(".new"), ns=(state.st_atime_ns, state.st_mtime_ns))
    path.with_suffix(".new").replace(path)
    assert seal.damage(app, RECORD) == ["code/app.py"]


def test_links_of_another_release_to_the_same_files_are_no_damage(app: AppPaths) -> None:
    app.release("r-2").mkdir()
    files.link_tree(app.release("r-1") / "code", app.release("r-2") / "code")
    assert seal.damage(app, RECORD) == []


def test_a_changed_environment_is_damaged_and_its_name_is_not_used_again(app: AppPaths) -> None:
    assert seal.usable_environment(app, "v") == "v"
    (app.venvs / "v" / "lib.py").write_text("x = 2")
    assert seal.damage(app, RECORD) == ["venvs/v"]
    assert seal.usable_environment(app, "v") == "v-2"
    (app.venvs / "v" / ".slipway-complete").unlink()
    assert seal.usable_environment(app, "v") == "v", "half of one is made anew in its place"


def test_edited_variables_are_named_by_their_file_alone(app: AppPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = User("shop", os.geteuid(), os.getegid())
    monkeypatch.setattr(users, "require", lambda _: nobody)
    app.envs.mkdir()
    (paths.ROOT / "var/lib").mkdir(parents=True)
    record = {**RECORD, "env": variables.store(app, {"TOKEN": "planted"})}
    assert seal.damage(app, record) == []
    (app.envs / record["env"]).write_text('{"TOKEN": "another"}')
    assert seal.damage(app, record) == [f"envs/{record['env']}"]
    assert variables.store(app, {"TOKEN": "planted"}) == record["env"]
    assert seal.damage(app, record) == []
    (app.envs / record["env"]).unlink()
    assert seal.damage(app, record) == [f"envs/{record['env']}"]


def test_an_environment_is_the_same_after_it_was_renamed(app: AppPaths) -> None:
    (app.venvs / "v").rename(app.venvs / "w")
    assert not seal.environment_is_damaged(app.venvs / "w")
    assert seal.environment_is_damaged(app.venvs / "v")


def test_what_is_of_a_time_before_there_were_seals_counts_as_whole(app: AppPaths) -> None:
    (app.release("r-1") / "seal.json").unlink()
    (app.venvs / "v" / ".slipway-seal").unlink()
    (app.release("r-1") / "code" / "app.py").write_text("another")
    assert seal.damage(app, RECORD) == []


def test_a_damaged_seal_is_no_reason_to_trust(app: AppPaths) -> None:
    (app.release("r-1") / "seal.json").write_text("{")
    assert seal.damage(app, RECORD) == [], "the content is as it was"
    (app.release("r-1") / "manifest.json").write_text("{")
    assert seal.damage(app, RECORD) == ["manifest.json"]
