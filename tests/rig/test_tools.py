"""What stands behind `make`: locks of dead processes, things made once, the choice of an engine."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.rig import home
from tools import __main__ as main
from tools import common, engine, gobuild, setup, stack, system, testing, uv, wrapper
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
    stack.check("mine", str(checkout / "shop"))


@pytest.mark.parametrize(
    "settings",
    [
        "config:\n  slipway:app:\n    path: one\n",
        "config:\n  slipway:app:\n    # path: two\n    health:\n      path: /two\n    path: './one'  # ours\n",
        "config:\n  slipway:app: {health: {path: /two}, path: one, name: x}\n",
        'config:\n    slipway:app:\n        path: "../CHECKOUT/one"\n    slipway:x:\n        path: two\n',
    ],
)
def test_a_stack_is_for_one_application(checkout: Path, settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its path is written; for another one there is an error with what to do."""
    (checkout / "Pulumi.dev.yaml").write_text(settings.replace("CHECKOUT", checkout.name))
    for name in ("one", "two"):
        (checkout / name).mkdir()
    monkeypatch.chdir(checkout / "two")
    stack.check("dev", "../one")
    stack.check("dev", str(checkout / "one"))
    stack.check("dev", None)
    with pytest.raises(ToolError, match=r"Pulumi.dev.yaml is for the application .*one\..*make up STACK=name APP=\."):
        stack.ensure(READY, "dev", ".")


def test_an_application_that_the_settings_do_not_tell_is_none(checkout: Path) -> None:
    (checkout / "Pulumi.dev.yaml").write_text("config:\n  slipway:target: local\n  other:app:\n    path: one\n")
    (checkout / "one").mkdir()
    with pytest.raises(ToolError, match="none that can be read there"):
        stack.check("dev", str(checkout / "one"))


def write_state(folder: Path, name: str, text: str | None = None, *, kinds: tuple[str, ...] = ()) -> None:
    file = folder / ".pulumi" / "stacks" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    resources = [{"type": kind} for kind in kinds]
    file.write_text(text or json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def test_clean_refuses_while_another_projects_stack_holds_something(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = "pulumi:pulumi:Stack"
    write_state(checkout, "slipway/dev.json", kinds=(root, "command:local:Command"))
    write_state(checkout, "empty/try.json", kinds=(root, "pulumi:providers:command"))
    write_state(checkout, "empty/try.json.bak", kinds=(root, "command:local:Command"))
    assert stack.holding_elsewhere() == []
    write_state(checkout, "other/try.json", kinds=(root, "command:local:Command"))
    write_state(checkout, "other/half.json", "{")
    assert stack.holding_elsewhere() == ["other/half", "other/try"]
    removed: list[Path] = []
    monkeypatch.setattr(main, "remove_tree", removed.append)
    monkeypatch.setattr(main, "_clean_machines", lambda: None)
    assert main.main(["clean"]) == 1
    assert removed == []


def test_the_images_are_kept_when_the_driver_refuses_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@" >> "$0.calls"\necho "error: these machines stand on it: web" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(main, "VENV", tmp_path)
    main._clean_machines()
    assert Path(f"{python}.calls").read_text() == "-m pulumi_slipway.local clean\n"
    assert "are kept: these machines stand on it: web" in capsys.readouterr().err


# -- the host --------------------------------------------------------------------------------------------------


def without_root(monkeypatch: pytest.MonkeyPatch, folder: Path, sudo: str, *, terminal: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: terminal))
    monkeypatch.setattr(system, "_stay_able", lambda: None)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "sudo").write_text(f"#!/bin/sh\n{sudo}\n")
    (folder / "sudo").chmod(0o755)


ASKS_ONCE = """
case "$1" in
-v) touch "$0.known" ;;
*) test -e "$0.known" ;;
esac
"""


def test_a_password_is_asked_for_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_root(monkeypatch, tmp_path, ASKS_ONCE, terminal=True)
    system.become_able("the test")
    assert "the test needs root: sudo may ask for your password" in capsys.readouterr().err
    system.become_able("the test")
    assert capsys.readouterr().err == ""


def test_without_a_terminal_to_ask_at_the_remedies_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_root(monkeypatch, tmp_path, ASKS_ONCE, terminal=False)
    with pytest.raises(ToolError, match="run this as root, give yourself sudo without a password, or run `sudo -v`"):
        system.become_able("the test")


def test_debians_keys_are_installed_where_they_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr(system._requirements(), "KEYRINGS", ("/nowhere.gpg", "/nowhere.pgp"))
    monkeypatch.setattr(system, "_which", lambda program: program)
    monkeypatch.setattr(system, "_obstacle", lambda: "")
    monkeypatch.setattr(system, "apt_install", installed.extend)
    system.ensure()
    assert installed == ["debian-archive-keyring"]


# -- the environment -------------------------------------------------------------------------------------------


def test_the_environment_names_the_stack_and_the_checkouts_python(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = setup.ensure()
    own = [str(wrapper.BIN), str(common.VENV / "bin")]
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", own[0], "/bin"]))
    path = setup.variables(ready, "mine")["PATH"].split(os.pathsep)
    assert path[:4] == [*own, "/usr/bin", "/bin"]
    assert setup.variables(ready, "mine")["PULUMI_STACK"] == "mine"
    monkeypatch.setenv("PULUMI_STACK", "mine")
    assert "PULUMI_STACK" not in setup.child_environment(ready)  # what `make` runs is told its stack by an option


def test_the_rig_leaves_the_plugins_of_an_official_engine_alone(tmp_path: Path) -> None:
    real = tmp_path / "cache" / "plugins" / "resource-random-v0.0.1" / "pulumi-resource-random"
    real.parent.mkdir(parents=True)
    real.write_text("real")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "plugins").symlink_to(tmp_path / "cache" / "plugins")
    (tmp_path / "engine").touch()
    home.make(tmp_path / "home", tmp_path / "engine", common.VENV)
    assert real.read_text() == "real"
    assert [folder.name for folder in (tmp_path / "cache" / "plugins").iterdir()] == ["resource-random-v0.0.1"]
    assert not (tmp_path / "home" / "plugins").is_symlink()


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


def test_a_checkouts_own_pulumi_is_no_official_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other" / ".slipway" / "bin" / "pulumi"
    other.parent.mkdir(parents=True)
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{common.LOCAL / 'bin'}:{other.parent}")
    assert engine.on_path() is None
    official = tmp_path / "pulumi"
    official.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{other.parent}:{tmp_path}")
    assert engine.on_path() == str(official)


def test_an_unknown_part_of_the_tests_is_refused() -> None:
    with pytest.raises(ToolError, match="known are unit"):
        testing.run_parts(["units"])


def test_the_passphrase_is_for_its_owner_alone() -> None:
    setup.ensure()
    assert setup.PASSPHRASE.stat().st_mode & 0o777 == 0o600
