"""What may be wrong on the server: its disk, its clock, its other programs, what somebody did by hand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.agent.server import OWNER
from tests.faults import shop as shops
from tests.faults.shop import Shop, Told

DECADE = 10 * 365 * 86400.0


# ------------------------------------------------------------------------------------------------- who else is there


@pytest.mark.fault("two releases at once: the second waits")
def test_a_second_release_waits(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        first = trial.passes(shop.commit(commands={"release": ["python migrate.py", "sleep 2"]}))
        with _releasing(shop, first):
            done = shop.server.run_agent("release", shop.request(trial.wants(shop.commit())))
        assert f"(release {first.id} of shop, since" in done.stderr
        assert done.returncode == 0
        assert trial.wanted is not None
        trial.serves(trial.wanted)


@pytest.mark.fault("two releases at once: the second fails")
def test_a_second_release_that_is_not_to_wait_fails(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        first = trial.passes(shop.commit(commands={"release": ["python migrate.py", "sleep 4"]}))
        second = trial.wants(shop.commit(lock_wait=0))
        with _releasing(shop, first):
            assert "waiting" not in trial.fails(second, "app-shop is locked by process")
            trial.serves(trial.old)
        assert shop.serving() == first.text


@pytest.mark.fault("lock of a dead process")
def test_the_lock_of_a_dead_process_is_none(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        shop.server.shell(
            'python3 -c \'import fcntl, os; f = open("/run/slipway-agent/locks/app-shop", "w");'
            ' fcntl.flock(f, fcntl.LOCK_EX); f.write("{\\"pid\\": 1}"); f.flush(); os.kill(os.getpid(), 9)\' || true'
        )
        trial.serves(trial.old)
        done = shop.server.run_agent("release", shop.request(trial.wants(shop.commit(lock_wait=0))))
        assert done.returncode == 0, done.stderr


@contextmanager
def _releasing(shop: Shop, release: shops.Release) -> Iterator[None]:
    """While it is being released."""
    request = shop.request(release)
    running = threading.Thread(target=shop.server.run_agent, args=("release", request))
    running.start()
    shop.server.shell(f"until grep -q {release.id} /run/slipway-agent/locks/app-shop; do sleep 0.05; done")
    yield
    running.join(60)


# ------------------------------------------------------------------------------------------------- disk


@pytest.fixture(scope="module")
def small(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An app whose folder is a disk of its own, in memory: it can be made full, and forbidden to be written. It goes
    with the server."""
    shop.server.shell("mkdir /srv/small && mount -t tmpfs -o size=4g small /srv/small")
    return Shop(shop.server, tmp_path_factory.mktemp("small"), "small", domain="small.example")


# the options as they are would be given along, and a machine of the tests may not name the owner that is among them
RESIZE = "mount --options-mode ignore --options-source disable -o remount,size="
USED = "$(df -k --output=used /srv/small | tail -1)"
FULL = f"{RESIZE}$(({USED} + 4))k small /srv/small"
BRIMFUL = f"{RESIZE}$(({USED}))k small /srv/small"
ROOMY = f"{RESIZE}4g small /srv/small"


@pytest.mark.fault("disk full: while staging")
def test_a_full_disk_while_staging(small: Shop, told: Told) -> None:
    with small.trial(told) as trial:
        small.server.shell(FULL)
        try:
            trial.fails(trial.wants(small.commit()), "disk")
            trial.serves(trial.old)
        finally:
            small.server.shell(ROOMY)


@pytest.mark.fault("disk full: in the journal")
def test_a_full_disk_in_the_journal(small: Shop, told: Told) -> None:
    journal = f"{small.place}/journal.jsonl"
    # the next line begins on a page of its own, of which there is none left
    pad = f"""python3 -c 'import json
with open("{journal}", "ab") as file:
    line = json.dumps(dict(at="", action="note", ok=True, text="")).encode()
    file.write(line[:-2] + b"x" * (-(file.tell() + len(line) + 1) % 4096) + line[-2:] + b"\\n")'"""
    with small.trial(told) as trial:
        new = trial.wants(small.commit())
        lines = small.server.shell(f"wc -l < {journal}")
        small.run_to("done", f"{pad} && {BRIMFUL}", new)
        assert int(small.server.shell(f"grep -c . {journal}")) == int(lines) + 1, "only the line of the test is there"
        trial.serves(new)
        small.server.shell(ROOMY)


@pytest.mark.fault("file system read-only")
def test_a_file_system_that_can_only_be_read(small: Shop, told: Told) -> None:
    with small.trial(told) as trial:
        # not while a file is open for writing
        small.server.shell("until mount -o remount,bind,ro /srv/small 2>/dev/null; do sleep 0.05; done", timeout=20)
        try:
            trial.fails(trial.wants(small.commit()), "can only be read")
            trial.serves(trial.old)
        finally:
            small.server.shell("mount -o remount,bind,rw /srv/small")


# ------------------------------------------------------------------------------------------------- network, database


@contextmanager
def _no_index(shop: Shop) -> Iterator[None]:
    """The server's package index does not answer."""
    place = "/etc/slipway/environment"
    shop.server.shell(f"touch {place} && cp {place} /root/kept && echo UV_DEFAULT_INDEX=http://127.0.0.1:9/ >> {place}")
    try:
        yield
    finally:
        shop.server.shell(f"cp /root/kept {place}")


@pytest.mark.fault("package index away: same lock file")
def test_without_package_index_a_release_with_the_same_lock_file_works(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial, _no_index(shop):
        new = trial.wants(shop.commit())
        assert shop.up(new) == ["release"]
        trial.serves(new)


@pytest.mark.fault("package index away: changed lock file")
def test_without_package_index_a_release_with_a_changed_lock_file_fails(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        needed = f"{shops.GUNICORN}\niniconfig\n"
        new = trial.wants(shop.commit(files={"requirements.txt": needed}))
        with _no_index(shop):
            trial.fails(new, "uv pip failed", "127.0.0.1")
            trial.serves(trial.old)


@pytest.mark.timeout(600)
@pytest.mark.fault("database away at migration")
def test_a_database_that_is_away_at_migration(shop: Shop, told: Told) -> None:
    password = "a-password-of-the-tests"
    asked = {"engine": "postgresql", "name": "book", "user": "book", "password": password, "owner": OWNER, "serial": 1}
    done = shop.server.run_agent("database", asked, timeout=500)
    assert done.returncode == 0, done.stderr
    url = f"postgresql://book:{password}@127.0.0.1:5432/book"
    psql = f"psql -AtX -v ON_ERROR_STOP=1 {url} -c"
    migration = f"{psql} 'CREATE TABLE IF NOT EXISTS notes (at TIMESTAMP)' && {psql} 'INSERT INTO notes VALUES (now())'"
    with shop.trial(told) as trial:
        first = trial.passes(shop.commit(commands={"release": [migration]}))
        shop.up(first)
        new = trial.wants(shop.commit(commands={"release": [migration]}))
        shop.server.shell("systemctl stop postgresql")
        try:
            trial.fails(new, "the release command", "127.0.0.1")
            assert shop.serving() == first.text
            told.serving = "old release"
        finally:
            shop.server.shell("systemctl start postgresql && until pg_isready -q; do sleep 0.1; done", timeout=90)
    assert shop.server.shell(f"{psql} 'SELECT count(*) FROM notes'").strip() == "2"


# ------------------------------------------------------------------------------------------------- clock


@pytest.mark.fault("clock: the server's record is of the future")
def test_what_was_written_by_a_clock_that_was_ahead(shop: Shop, told: Told) -> None:
    """Of a clock that was ten years ahead and is right again, what it wrote is left: serial and times."""
    with shop.trial(told) as trial:
        ahead = time.time() + DECADE
        _rewrite(shop, "live.json", serial=int(ahead))
        _rewrite(shop, f"releases/{trial.old.id}/good.json", at=ahead)
        _rewrite(shop, f"releases/{trial.old.id}/release.json", staged=ahead)
        second = trial.passes(shop.commit())
        assert shop.up(second) == ["release"]
        assert shop.up(second) == []
        third = trial.wants(shop.commit())
        assert shop.up(third) == ["release"]
        trial.serves(third)
        back = shop.server.agent("rollback", {"app": "shop", "owner": OWNER})["release"]
        assert back == second.id, "a rollback goes to the release before, whatever the times say"


@pytest.mark.fault("clock: the operator's is of the past")
def test_an_up_by_a_clock_that_is_behind(shop: Shop, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.trial(told) as trial:
        monkeypatch.setattr(shops, "now", lambda: 1000)
        new = trial.wants(shop.commit())
        assert shop.up(new) == ["release"]
        trial.serves(new)


def _rewrite(shop: Shop, name: str, **values: float) -> None:
    path = f"{shop.place}/{name}"
    changed = json.loads(shop.server.shell(f"cat {path}")) | values
    shop.server.machine.root_shell(f"cat > {path}", json.dumps(changed))


# ------------------------------------------------------------------------------------------------- processes

DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.mark.fault("old slot refuses to stop")
def test_an_old_slot_that_refuses_to_stop(shop: Shop, told: Told) -> None:
    """Its workers ignore TERM, one has a request that never ends, and its master does not even hear."""
    with shop.trial(told) as trial:
        deaf = trial.passes(shop.commit(extra=DEAF))
        shop.up(deaf)
        threading.Thread(target=_never_answered, args=(shop,), daemon=True).start()
        shop.server.shell(f"kill -STOP {shop.master()}")
        between = trial.passes(shop.commit())
        shop.up(between)
        assert shop.serving() == between.text
        told.serving = "new release"
        trial.wants(shop.commit())
    assert shop.server.shell(f"pgrep -u shop -f {deaf.id} || true") == ""


WORKER = """\
import os, pathlib, signal, time
import web

signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["HOME"], "data", "worker-" + web.TEXT).write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.mark.fault("worker ignores TERM")
def test_a_worker_that_ignores_term(shop: Shop, told: Told) -> None:
    worker = {"name": "deaf", "command": "python work.py", "count": 1, "stop_signal": "TERM", "stop_timeout": 3}
    with shop.trial(told) as trial:
        first = trial.passes(shop.commit(files={"work.py": WORKER}, workers=[worker]))
        shop.up(first)
        old = _worker(shop, first)
        second = trial.wants(shop.commit(files={"work.py": WORKER}, workers=[worker]))
        shop.up(second)
        trial.serves(second)
        _worker(shop, second)
        shop.server.shell(f"for i in $(seq 200); do kill -0 {old} || exit 0; sleep 0.1; done 2>/dev/null; exit 1")


def _worker(shop: Shop, release: shops.Release) -> str:
    """The process id of a release's worker, once it has said it."""
    place = f"{shop.place}/shared/data/worker-{release.text}"
    said = shop.server.shell(f"for i in $(seq 200); do test -s {place} && break; sleep 0.1; done; cat {place}")
    assert said, f"the worker of {release.id} was never started"
    return said


def _never_answered(shop: Shop) -> None:
    with suppress(OSError):
        shop.server.get("/hang")


# ------------------------------------------------------------------------------------------------- by hand


@pytest.mark.fault("release folder deleted by hand")
def test_a_release_folder_that_was_deleted(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        shop.server.shell(f"rm -rf {shop.place}/releases/{trial.old.id}")
        trial.serves(trial.old)
        trial.wants(trial.old)
    _check_that_it_starts_again(shop, trial.old)


@pytest.mark.fault("environment corrupted by hand")
def test_an_environment_that_was_corrupted(shop: Shop, told: Told) -> None:
    with shop.trial(told) as trial:
        shop.server.shell(f"rm -rf $(readlink -f {shop.place}/live/venv)/lib/python3*/site-packages/gunicorn")
        trial.serves(trial.old)
        trial.wants(trial.old)
    _check_that_it_starts_again(shop, trial.old)


def _check_that_it_starts_again(shop: Shop, release: shops.Release) -> None:
    shop.server.shell(f"kill -9 {shop.master()}")
    time.sleep(0.3)
    shop.wait_for(release)


@pytest.mark.fault("nginx file edited to nonsense")
def test_an_nginx_file_that_is_nonsense(shop: Shop, told: Told) -> None:
    path = "/etc/nginx/sites-enabled/zz-slipway-shop.conf"
    with shop.trial(told) as trial:
        shop.server.shell(f"echo 'this is {{ no configuration' > {path}; ! nginx -t -q 2>/dev/null")
        shop.server.shell("systemctl reload nginx || true")
        trial.serves(trial.old)
        trial.wants(trial.old)
    shop.server.shell("nginx -t -q")
