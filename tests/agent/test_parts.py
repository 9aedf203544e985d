"""The agent's smaller parts, by themselves: no server, no root."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_slipway.agent import (
    catalogue,
    detach,
    files,
    journal,
    lock,
    main,
    nginx,
    observe,
    paths,
    progress,
    request,
    rollout,
    undo,
)
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.undo import Content


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the server's `/`."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def no_secrets() -> Iterator[None]:
    """Forgets what was to be hidden."""
    yield
    progress._secrets.clear()


def test_nothing_serves_where_nothing_was_released(root: Path) -> None:
    (root / "srv/shop").mkdir(parents=True)
    (root / "srv/shop/claim.json").write_text('{"owner": "somebody", "serial": 1}')
    assert observe.observe({"serving": True})["serving"] is False


# ------------------------------------------------------------------------------------------------- files


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_atomic(path, b"old", 0o600)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_record_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text('{"slot": "bl')
    with pytest.raises(AgentError, match=r"live\.json is damaged"):
        files.read_json(tmp_path / "live.json")


def test_a_tree_with_a_device_or_a_pipe_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    with pytest.raises(AgentError, match="neither a file, a folder nor a link"):
        files.take_tree(tmp_path / "tree", os.getuid(), os.getgid())


def test_the_last_lines_of_a_log_survive_its_rotation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    assert files.last_lines(log, lines=2) == ["line 98", "line 99"]
    assert files.last_lines(log, offset=10**6, lines=1) == ["line 99"]
    assert files.last_lines(tmp_path / "absent") == []


# ------------------------------------------------------------------------------------------------- undo


def test_an_interrupted_change_is_put_back_whole(tmp_path: Path) -> None:
    old, link, new = tmp_path / "old", tmp_path / "link", tmp_path / "folder/new"
    old.write_text("as it was")
    old.chmod(0o640)
    link.symlink_to("elsewhere")
    wanted = {old: Content(b"changed"), link: None, new: Content(b"added")}
    changes = undo.differing(wanted)
    assert set(changes) == {old, link, new}
    undo.replace(tmp_path / "note", changes)
    assert (old.read_text(), link.is_symlink(), new.read_text()) == ("changed", False, "added")
    assert undo.put_back(tmp_path / "note") is True
    assert (old.read_text(), link.readlink(), new.exists()) == ("as it was", Path("elsewhere"), False)
    assert old.stat().st_mode & 0o777 == 0o640
    assert undo.put_back(tmp_path / "note") is False


def test_a_file_that_is_right_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("same")
    (tmp_path / "same").chmod(0o644)
    assert undo.differing({tmp_path / "same": Content(b"same"), tmp_path / "absent": None}) == {}


# ------------------------------------------------------------------------------------------------- lock, detach


def test_a_lock_is_waited_for_and_its_holder_named(root: Path) -> None:
    released = threading.Event()

    def hold() -> None:
        with lock.held("app-x", "release r1 of x"):
            released.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    time.sleep(0.1)
    with (
        pytest.raises(AgentError, match=rf"process {os.getpid()} \(release r1 of x, since"),
        lock.held("app-x", "y", 0.2),
    ):
        pass
    released.set()
    holder.join()
    with lock.held("app-x", "y", 0.2):
        pass


def test_work_goes_on_when_the_one_who_asked_is_killed(root: Path) -> None:
    child = os.fork()
    if child == 0:

        def work() -> detach.Answer:
            time.sleep(0.5)
            (root / "done").touch()
            return {}

        detach.detached(work)
        os._exit(0)
    time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not (root / "done").exists()
    time.sleep(0.7)
    assert (root / "done").exists()


def test_the_answer_and_the_progress_of_detached_work_come_back(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> detach.Answer:
        progress.say("half-way")
        return {"ok": True, "number": 7}

    assert detach.detached(work) == {"ok": True, "number": 7}
    assert "half-way" in capfd.readouterr().err
    assert list((root / "run/slipway-agent/jobs").iterdir()) == []


def test_nobody_waits_for_what_is_done_after_an_answer(root: Path) -> None:
    def afterwards() -> None:
        while not (root / "answered").exists():
            time.sleep(0.01)
        (root / "done").touch()

    assert detach.detached(lambda: {"ok": True}, afterwards) == {"ok": True}
    (root / "answered").touch()
    deadline = time.monotonic() + 5
    while not (root / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_detached_work_that_dies_is_told(root: Path) -> None:
    def work() -> detach.Answer:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    with pytest.raises(AgentError, match="ended without an answer"):
        detach.detached(work)


# ------------------------------------------------------------------------------------------------- journal, progress


def test_the_journal_keeps_failures_and_survives_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with journal.recorded(path, "release", release="r1"):
        pass
    path.write_bytes(path.read_bytes() + b'{"at": "20')  # power was lost
    with pytest.raises(AgentError), journal.recorded(path, "release", release="r2"):
        raise AgentError("it did not start")
    with journal.recorded(path, "observe") as entry:
        entry["skip"] = True
    entries = journal.read(path, 10)
    assert [(entry["release"], entry["ok"]) for entry in entries] == [("r1", True), ("r2", False)]
    assert entries[1]["error"] == "it did not start"


def test_secrets_and_control_characters_do_not_get_through(no_secrets: None) -> None:
    progress.hide(["hunter2-hunter2", "short", "first line\nsecond line"])
    said = progress.clean("\x1b[31mhunter2-hunter2 short, second line")
    assert said == " [31m[secret] short, [secret]"


def test_the_password_in_a_url_does_not_get_through_by_itself(no_secrets: None) -> None:
    progress.hide(
        ["postgresql://shop:p%40ssw0rd@db:5432/shop", "https://example.org/", "redis://:tiny@cache", "x://[y"]
    )
    said = progress.clean("p@ssw0rd and p%40ssw0rd for shop, tiny, of db")
    assert said == "[secret] and [secret] for shop, tiny, of db"
    progress.hide(["postgresql://shop:p%40ssw0rd@db:5432/shop"])
    assert len(progress._secrets) == len(set(progress._secrets))


def test_the_journal_ends_with_what_is_live_also_after_an_agent_that_could_not_write_it_down(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with journal.recorded(path, "release", release="r1"):
        pass
    journal.confirm(path, "r1")
    assert len(journal.read(path, 10)) == 1
    with pytest.raises(AgentError), journal.recorded(path, "release", release="r3"):
        raise AgentError("broken")
    journal.confirm(path, "r2")
    assert [(entry["action"], entry["release"]) for entry in journal.read(path, 10)][-1] == ("found", "r2")
    assert journal.live(path) == "r2"


def test_what_is_done_stays_done_when_the_journal_takes_no_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = root / "journal.jsonl"
    write = os.write
    with monkeypatch.context() as full, journal.recorded(path, "release", release="r1"):
        full.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    assert f"warning: the journal {path} cannot be written: No space left on device" in capfd.readouterr().err
    assert journal.live(path) is None
    journal.confirm(path, "r1")
    assert journal.live(path) == "r1"
    assert [entry["action"] for entry in journal.read(path, 9)] == ["release", "found"]  # it waited


def test_the_release_that_served_last_is_that_also_by_a_clock_that_was_set_back(root: Path) -> None:
    app = paths.AppPaths("book")
    for name in ("r1", "r2", "r3"):
        app.release(name).mkdir(parents=True)
        files.write_json(app.release(name) / "release.json", {})
    files.write_json(app.release("r1") / "good.json", {"at": time.time() + 10**8})
    catalogue.mark_good(app, "r2")
    catalogue.mark_good(app, "r3")
    assert [entry.id for entry in catalogue.all_of(app)] == ["r3", "r2", "r1"]
    assert catalogue.previous_good(app, "r3") == "r2"


# ------------------------------------------------------------------------------------------------- request


@pytest.mark.parametrize("name", ["a", "shop", "my-app-2", "x" * 26])
def test_good_names_of_apps_are_taken(name: str) -> None:
    assert request.check_app_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a/b", "..", "a-", "shop-build", "x" * 27, "a\n"])
def test_bad_names_of_apps_are_refused(name: str) -> None:
    with pytest.raises(AgentError, match="is no name for an app"):
        request.check_app_name(name)


def test_a_wrong_field_is_named_without_its_value() -> None:
    with pytest.raises(AgentError, match="'serial' must be a number, not str") as caught:
        request.integer({"serial": "planted"}, "serial")
    assert "planted" not in str(caught.value)
    with pytest.raises(AgentError, match="the value of TOKEN must be text") as caught:
        request.variables({"environment": {"TOKEN": ["planted"]}}, "environment")
    assert "planted" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- nginx


def test_snippets_fit_the_version_of_nginx_and_openssl() -> None:
    old = nginx.snippets((1, 22, 1), (3, 0, 19), True, None)
    new = nginx.snippets((1, 30, 4), (3, 5, 1), False, Path("/etc/slipway/tls/shop"))
    assert old["listen-443.conf"] == "listen 443 ssl http2;\nlisten [::]:443 ssl http2;\n"
    assert new["listen-443.conf"] == "listen 443 ssl;\nhttp2 on;\n"
    assert "X25519MLKEM768" not in old["tls.conf"]
    assert "ssl_session_tickets off" in old["tls.conf"]
    assert "ssl_ecdh_curve X25519MLKEM768:X25519:" in new["tls.conf"]
    assert "ssl_session_tickets" not in new["tls.conf"]
    assert old["tls-default.conf"] == "ssl_reject_handshake on;\n"
    assert "ssl_certificate /etc/slipway/tls/shop/cert.pem;" in new["tls-default.conf"]
    assert new["upstream.conf"] == "keepalive 0;\n"
    assert "keepalive" not in old["upstream.conf"]


# ------------------------------------------------------------------------------------------------- why an app failed


def test_of_many_tracebacks_the_first_of_a_worker_is_shown() -> None:
    stamp = "[2026-11-21 10:58:23 +0000] [888]"
    trace = ["Traceback (most recent call last):", '  File "web.py", line 4', "RuntimeError: the planets are wrong"]
    lines = [f"{stamp} [INFO] Starting", f"{stamp} [ERROR] Exception in worker process", *trace]
    lines += [f"{stamp} [INFO] Worker exiting", "Traceback (most recent call last):", "gunicorn.errors.HaltServer"]
    assert rollout._telling(lines) == trace
    assert rollout._telling([f"{stamp} [INFO] Starting", "sorry"]) == ["sorry"]


# ------------------------------------------------------------------------------------------------- the disk


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the server's disk is full (/srv/book/x): make room"),
        (errno.EROFS, "file system can only be read (/srv/book/x)"),
    ],
)
def test_what_is_wrong_with_the_disk_is_told_with_a_remedy(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_document: object) -> None:
        raise OSError(number, os.strerror(number), "/srv/book/x")

    monkeypatch.setattr(observe, "observe", failing)
    answer = main._guarded(main.COMMANDS["observe"], {})
    assert answer["ok"] is False
    assert said in answer["error"]


# ------------------------------------------------------------------------------------------------- the program


def _agent(*arguments: str, stdin: str = "{}") -> subprocess.CompletedProcess[str]:
    code = "import sys; from pulumi_slipway.agent.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_an_unknown_command_shows_those_there_are() -> None:
    done = _agent("relaese")
    assert done.returncode == 2
    assert "release" in done.stderr


def test_a_request_that_is_no_json_is_refused_without_being_quoted() -> None:
    done = _agent("observe", stdin='{"environment": {"TOKEN": "planted"')
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"ok": False, "error": "the request on stdin is no JSON document"}
    assert "planted" not in done.stdout + done.stderr


def test_observing_answers_on_any_machine() -> None:
    answer = json.loads(_agent("observe", stdin='{"apps": ["no-such-app"]}').stdout)
    assert answer["ok"] is True
    site = {"serial": 0, "files": {}, "edited": [], "texts": {}}
    nothing = {"serial": 0, "live": None, "slot": None, "database": None, "damage": [], "source": {}, "last": {}}
    absent = {"claimed": False, "claim_serial": 0, **nothing, "site": site}
    assert answer["apps"]["no-such-app"] == absent
    assert answer["facts"]["cpus"] >= 1
    assert answer["machine"] == []
