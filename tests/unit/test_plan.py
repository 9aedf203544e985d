"""What a preview says: releases, files, variables, packages, configuration; and nothing when nothing changes."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway import observe as program
from pulumi_slipway.agent.manifest import manifest
from pulumi_slipway.app.archive import build_archive
from pulumi_slipway.app.origin import Origin
from pulumi_slipway.app.plan import LINES, changed, compare, fingerprints, first_plan, release_plan, site_plan
from pulumi_slipway.ssh import Result
from tests.unit.mocks import observation

ORIGIN = Origin("a" * 40, "Faster pages")


def plan(
    observed: Any, wanted: str = "r-new", variables: Any = None, origin: Origin = ORIGIN, commits: Any = None
) -> Any:
    return release_plan("shop", observed, wanted, variables or {}, origin, commits)


# ---------------------------------------------------------------------------------------------------------- release


def test_nothing_is_said_of_a_release_that_is_live_and_whole() -> None:
    rolled_back = {"action": "rollback", "who": "ada@desk", "at": "2026-11-29T10:00:00Z"}
    assert plan(observation(release="r-new", last=rolled_back)) == []


def test_the_first_release_is_said_by_its_commit_alone() -> None:
    assert plan(observation()) == ["shop: release r-new, the first one here: Faster pages (aaaaaaaaa)"]


def test_a_server_that_is_still_to_be_made_gets_a_first_release() -> None:
    assert first_plan("shop", 12, ORIGIN) == [
        "shop: a first release of 12 files on a new server: Faster pages (aaaaaaaaa)"
    ]


def test_another_release_is_said_with_all_that_changes() -> None:
    observed = observation(
        release="r-old",
        variables=fingerprints({"SAME": "1", "OTHER": "1", "GONE": "1"}, "key"),
        changes={
            "files": {"added": ["new.py"], "changed": ["app.py", "views.py"], "removed": []},
            "packages": {"added": ["rich 15.0"], "changed": ["flask 3.0 → 3.1"], "removed": ["six"]},
        },
    )
    variables = fingerprints({"SAME": "1", "OTHER": "2", "ADDED": "1"}, "key")
    assert plan(observed, variables=variables, commits=3) == [
        "shop: release r-old → r-new: Faster pages (aaaaaaaaa, 3 commits further)",
        "  files: 2 changed (app.py, views.py), 1 new (new.py)",
        "  variables: changed OTHER; new ADDED; removed GONE",
        "  dependencies: changed flask 3.0 → 3.1; new rich 15.0; removed six",
    ]


def test_going_back_and_uncommitted_changes_are_said() -> None:
    (line,) = plan(observation(release="r-old"), origin=Origin("b" * 40, "x" * 100, dirty=True), commits=-1)
    assert line.endswith("x… (bbbbbbbbb, 1 commit back, with uncommitted changes)")
    assert len(line) < 180


def test_a_source_without_git_is_said_by_its_release_alone() -> None:
    assert plan(observation(release="r-old"), origin=Origin()) == ["shop: release r-old → r-new"]


def test_a_rollback_on_the_server_is_said_first_with_who_and_when() -> None:
    last = {"action": "rollback", "who": "ada@desk", "at": "2026-11-29T10:00:00Z", "previous": "r-new"}
    first, second = plan(observation(release="r-old", last=last))
    assert first == "shop: rolled back on the server to r-old, from r-new, by ada@desk at 2026-11-29T10:00:00Z"
    assert second.startswith("  release r-old → r-new")


def test_a_live_release_that_is_damaged_is_said_to_be_mended() -> None:
    (line,) = plan(observation(release="r-new", damage=["code/app.py"]))
    assert line == "shop: r-new on the server is not as it was made, and is mended: code/app.py"


def test_many_names_are_counted_and_not_listed() -> None:
    changes = {"files": changed({}, {f"{n:03}": "" for n in range(500)}), "packages": changed({}, {})}
    lines = plan(observation(release="r-old", changes=changes))
    assert "500 new (000, 001" in lines[1]
    assert lines[1].endswith("and 492 more)")


def test_of_an_earlier_version_of_slipway_no_variable_is_said_to_change() -> None:
    lines = plan(
        observation(release="r-old", variables={"KEPT": "", "GONE": ""}), variables={"KEPT": "d1", "NEW": "d2"}
    )
    assert lines[1] == "  variables: new NEW; removed GONE"


def test_a_fingerprint_tells_that_a_value_changed_under_one_key_and_never_the_value() -> None:
    first = fingerprints({"TOKEN": "planted"}, "key")
    assert first == fingerprints({"TOKEN": "planted"}, "key")
    assert first != fingerprints({"TOKEN": "planted"}, "other")
    assert first["TOKEN"] != fingerprints({"COPY": "planted"}, "key")["COPY"]
    assert "planted" not in str(first)


# ------------------------------------------------------------------------------------------------------------- site


WANTED = {"/etc/a": ("d-a", "one\ntwo\nthree\n")}


def test_nothing_is_said_of_a_site_that_is_as_wanted_or_that_there_is_none_of_yet() -> None:
    assert site_plan("shop", observation(files={"/etc/a": "d-a"}), WANTED) == []
    assert site_plan("shop", observation(), WANTED) == []


def test_a_file_that_was_edited_on_the_server_is_shown_as_the_difference_to_what_is_wanted() -> None:
    observed = observation(files={"/etc/a": "d-x"}, edited=["/etc/a"], texts={"/etc/a": "one\n2\nthree\n"})
    assert site_plan("shop", observed, WANTED) == [
        "shop: /etc/a was edited on the server, and will be put right",
        "    @@ -1,3 +1,3 @@",
        "     one",
        "    -2",
        "    +two",
        "     three",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"files": {"/etc/a": "d-old"}, "texts": {"/etc/a": "one\n"}}, "/etc/a changes"),
        ({"files": {"/etc/a": ""}, "edited": ["/etc/a"]}, "/etc/a is missing on the server, and will be written anew"),
        ({"files": {"/etc/a": "d-a", "/etc/b": "d-b"}}, "/etc/b is not wanted any more, and will be removed"),
        ({"files": {"/etc/a": "d-a", "/etc/s": "x"}, "edited": ["/etc/s"]}, "/etc/s was edited on the server"),
        ({"files": {"/etc/a": "d-a", "certificate": ""}}, "its certificate is missing on the server"),
        ({"files": {"/etc/b": "d-b"}}, "/etc/a is new"),
    ],
)
def test_each_way_in_which_a_site_is_not_as_wanted_has_its_words(found: dict[str, Any], said: str) -> None:
    assert any(line.startswith(f"shop: {said}") for line in site_plan("shop", observation(**found), WANTED))


def test_a_long_difference_is_cut() -> None:
    observed = observation(files={"/etc/a": "x"}, texts={"/etc/a": ""})
    lines = site_plan("shop", observed, {"/etc/a": ("d", "line\n" * 500)})
    assert len(lines) == LINES + 2
    assert lines[-1] == f"    … {501 - LINES} more lines"


# ---------------------------------------------------------------------------------------------------------- sources


def archive(folder: Path, **files: str) -> Path:
    path = folder / "source.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path


LOCKS = {
    "uv.lock": '[[package]]\nname = "Flask"\nversion = "3.1"\n[[package]]\nname = "own"\nsource = {editable = "."}\n',
    "poetry.lock": '[[package]]\nname = "flask"\nversion = "3.1"\n',
    "pylock.toml": '[[packages]]\nname = "flask"\nversion = "3.1"\n',
    "Pipfile.lock": '{"default": {"flask": {"version": "==3.1"}}, "develop": {"pytest": {"version": "==8"}}}',
    "requirements.txt": "# pins\nflask[async]==3.1 ; python_version > '3'  # why\n-r other.txt\n",
}


@pytest.mark.parametrize("name", LOCKS)
def test_versions_are_read_from_each_kind_of_lock(tmp_path: Path, name: str) -> None:
    assert manifest(archive(tmp_path, **{f"sub/{name}": LOCKS[name]}))["packages"] == {"flask": "3.1"}


def test_a_lock_says_all_and_a_broken_one_nothing(tmp_path: Path) -> None:
    both = archive(tmp_path, **{"uv.lock": LOCKS["uv.lock"], "requirements.txt": "django\n"})
    assert manifest(both)["packages"] == {"flask": "3.1"}
    assert manifest(archive(tmp_path, **{"poetry.lock": "[["}))["packages"] == {}


def test_two_sources_differ_by_files_links_and_packages(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("one")
    (folder / "tool").write_text("same")
    (folder / "requirements.txt").write_text("flask==3.0\nsix\n")
    old = manifest(build_archive(folder).path)
    (folder / "app.py").write_text("two")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("app.py")
    (folder / "requirements.txt").write_text("flask==3.1\n")
    found = compare(old, manifest(build_archive(folder).path))
    assert found["files"] == {"added": ["link"], "changed": ["app.py", "requirements.txt", "tool"], "removed": []}
    assert found["packages"] == {"added": [], "changed": ["flask 3.0 → 3.1"], "removed": ["six"]}


class Agent:
    """Stands in for a connection: answers `source`, and remembers that it was asked."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer, self.asked = answer, 0

    def run(self, command: str, **_: Any) -> Result:
        assert command.endswith(" source")
        self.asked += 1
        return Result(0, json.dumps(self.answer), "")


def test_the_live_source_is_compared_by_this_machines_own_copy_else_by_what_the_server_says(app_folder: Path) -> None:
    live = build_archive(app_folder)
    answer = {"apps": {"shop": {"source": {"content": live.content}}}}
    agent = Agent(manifest(live.path))
    assert program._changes("shop", live.content, agent, answer) is None  # type: ignore[arg-type]
    (app_folder / "app.py").write_text("app = object()")
    wanted = build_archive(app_folder).content
    found = program._changes("shop", wanted, agent, answer)  # type: ignore[arg-type]
    assert (found or {})["files"]["changed"] == ["app.py"]
    assert agent.asked == 0
    live.path.unlink()
    assert program._changes("shop", wanted, agent, answer) == found  # type: ignore[arg-type]
    assert agent.asked == 1
