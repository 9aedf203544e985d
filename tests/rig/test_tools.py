"""What stands behind `make`: locks of dead processes, things made once, the choice of an engine."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools import common, engine, gobuild, setup, stack, testing, uv
from tools.common import ToolError

# -- locks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the locks of the stack dev."""
    monkeypatch.setattr(setup, "STATE", tmp_path)
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "slipway" / "dev"
    folder.mkdir(parents=True)
    return folder


def locked(folder: Path, pid: int, *, host: str = os.uname().nodename, age: float = 0) -> Path:
    """A lock as the engine's diy backend writes it (pkg/backend/diy/lock.go)."""
    stamp = datetime.now(UTC) - timedelta(seconds=age)
    file = folder / f"{pid}-{age}.json"
    text = stamp.isoformat(timespec="microseconds").replace("+00:00", "123Z")  # Go's nanoseconds
    file.write_text(json.dumps({"pid": pid, "username": "me", "hostname": host, "timestamp": text}))
    return file


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_lock_of_a_dead_process_is_removed(locks: Path) -> None:
    file = locked(locks, dead_pid())
    stack.clear_dead_locks("dev")
    assert not file.exists()


def test_the_lock_of_a_living_process_stays(locks: Path) -> None:
    file = locked(locks, os.getpid())
    stack.clear_dead_locks("dev")
    assert file.exists()


def test_the_lock_of_a_process_whose_number_went_to_a_later_one_is_removed(locks: Path) -> None:
    file = locked(locks, os.getpid(), age=24 * 3600 * 365)
    stack.clear_dead_locks("dev")
    assert not file.exists()


def test_the_lock_of_a_process_that_nobody_has_waited_for_is_removed(locks: Path) -> None:
    process = subprocess.Popen(["true"])
    time.sleep(0.2)  # a zombie until it is waited for
    file = locked(locks, process.pid)
    stack.clear_dead_locks("dev")
    process.wait()
    assert not file.exists()


def test_the_lock_of_another_machine_and_one_that_cannot_be_read_stay(locks: Path) -> None:
    files = [locked(locks, dead_pid(), host="elsewhere"), locks / "half.json"]
    files[1].write_text('{"pid": 1')
    stack.clear_dead_locks("dev")
    assert all(file.exists() for file in files)


# -- stacks ----------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which every stack exists already."""
    monkeypatch.setattr(stack, "CHECKOUT", tmp_path)
    monkeypatch.setattr(stack, "_create", lambda *_: None)
    monkeypatch.setattr(setup, "STATE", tmp_path)
    return tmp_path


READY = setup.Ready(key="", program="", rig=True, description="", uv="")


def test_another_stack_with_an_app_gets_a_settings_file_of_its_own(checkout: Path) -> None:
    (checkout / "shop").mkdir()
    stack.ensure(READY, "mine", str(checkout / "shop"))
    text = (checkout / "Pulumi.mine.yaml").read_text()
    assert text == 'config:\n  slipway:target: local\n  slipway:app:\n    path: "shop"\n'
    assert stack.application("mine", str(checkout / "shop")) == []


def test_an_app_that_the_settings_do_not_name_is_passed_for_the_run(checkout: Path) -> None:
    (checkout / "Pulumi.dev.yaml").write_text("config:\n  slipway:app:\n    path: one\n")
    (checkout / "two").mkdir()
    options = stack.application("dev", str(checkout / "two"))
    assert options == ["--config-path", "--config", "slipway:app.path=two"]
    assert stack.application("dev", None) == []


def test_what_cannot_be_is_told_with_its_remedy(checkout: Path) -> None:
    with pytest.raises(ToolError, match="make up STACK=new APP=path"):
        stack.ensure(READY, "new", None)
    with pytest.raises(ToolError, match="is no name of a stack"):
        stack.ensure(READY, "../x", None)
    with pytest.raises(ToolError, match="is no folder"):
        stack.ensure(READY, "new", "/nowhere")
    with pytest.raises(ToolError, match=r"has no output 'url'.*make up STACK=new"):
        stack.output(READY, "new", "url")


# -- things made once ------------------------------------------------------------------------------------------


def test_what_is_interrupted_leaves_nothing_behind_and_is_made_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "thing"

    def make(fail: bool) -> None:
        with common.made_atomically(target, "the test") as scratch:
            if scratch is not None:
                (scratch / "half").touch()
                if fail:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    (tmp_path / "thing.partial-of-a-killed-run").mkdir()
    make(fail=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing", "thing.lock"]


def test_two_at_once_make_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = 0

    def make() -> None:
        nonlocal made
        with common.made_atomically(tmp_path / "thing", "the test") as scratch:
            if scratch is not None:
                made += 1
                time.sleep(0.3)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == 1
    assert "waiting for another process that is busy with the test" in capsys.readouterr().err


def test_a_folder_without_write_permission_is_removed_too(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    inner.chmod(0o500)
    common.remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()


# -- choices ---------------------------------------------------------------------------------------------------


def test_the_engine_that_is_built_is_the_one_that_the_module_names() -> None:
    assert gobuild.version() == "3.250.0"
    assert gobuild.folder().name.startswith("3.250.0-")


def test_only_a_uv_that_reads_the_lock_file_is_used() -> None:
    assert uv._usable("uv 0.8.0")
    assert uv._usable("uv 1.0.3 (abc)")
    assert not uv._usable("uv 0.7.22")
    assert not uv._usable("")


def test_an_unknown_wish_for_an_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ENGINE", "nightly")
    with pytest.raises(ToolError, match="known are official, installer, build"):
        engine.provide()


def test_a_checkouts_own_pulumi_is_no_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(common.LOCAL / "bin"))
    assert engine.on_path() is None


def test_an_unknown_part_of_the_tests_is_refused() -> None:
    with pytest.raises(ToolError, match="known are unit"):
        testing.run_parts(READY, ["units"])


def test_the_passphrase_is_for_its_owner_alone() -> None:
    setup.ensure()
    assert setup.PASSPHRASE.stat().st_mode & 0o777 == 0o600
