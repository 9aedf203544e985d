"""From one release's processes to the next one's: who starts when, who waits for whom, and who for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.server import OWNER, App, Server

# Notes in the app's data when each of its workers began and ended to import it.
_APP = """\
import os, pathlib, sys, time

DATA = pathlib.Path(os.environ["HOME"], "data")
NOTE = DATA / f"{{os.environ['SLIPWAY_RELEASE']}}.{{os.getpid()}}"
NOTE.write_text(f"{{time.monotonic()}} ")
{importing}
with NOTE.open("a") as note:
    note.write(f"{{time.monotonic()}}\\n")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
    body = os.environ["SLIPWAY_RELEASE"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

_THIRD_OF_A_SECOND = "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
_ONLY_ONCE = "os.close(os.open(DATA / 'taken', os.O_CREAT | os.O_EXCL))"


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[App]:
    app = App(server, "handover")
    app.claim()
    app.site(graceful_timeout=5)
    yield app
    server.agent("remove", {"app": app.name, "owner": OWNER})


def _release(app: App, release: str, importing: str = "", gunicorn: str = "", **changes: Any) -> dict[str, Any]:
    app.server.shell(f"rm -f /srv/{app.name}/shared/data/*")
    files = {"web.py": _APP.format(importing=importing), "requirements.txt": gunicorn}
    return app.release(release, files, **{"environment": {"WEB_CONCURRENCY": "4"}, **changes})


def _imports(app: App, release: str, wanted: int, within: float = 15) -> list[tuple[float, float]]:
    """When the workers of a release began and ended to import it, once `wanted` of them have."""
    end = time.monotonic() + within
    while True:
        notes = app.server.shell(f"cd /srv/{app.name}/shared/data && grep -h ' [0-9]' {release}.* || true")
        found = sorted((float(line.split()[0]), float(line.split()[1])) for line in notes.splitlines())
        if len(found) >= wanted:
            return found
        assert time.monotonic() < end, f"{len(found)} of {wanted} workers"
        time.sleep(0.1)


def _said(app: App) -> str:
    return app.server.shell(f"cat /var/log/slipway/{app.name}/*.log")


@pytest.mark.parametrize("gunicorn", ["", "gunicorn==21.2.0\n"], ids=["newest", "21.2"])
def test_the_first_worker_imports_alone_and_the_others_follow(shop: App, fresh_id: str, gunicorn: str) -> None:
    _release(shop, fresh_id, _THIRD_OF_A_SECOND, gunicorn)
    assert shop.server.text() == fresh_id
    first, *others = _imports(shop, fresh_id, 4)
    assert len(others) == 3
    assert all(begun >= first[1] for begun, _ in others)
    assert max(begun for begun, _ in others) < max(ended for _, ended in others[:1]) + 0.5, "the others begin together"


@pytest.mark.parametrize("gunicorn", ["", "gunicorn==21.2.0\n"], ids=["newest", "21.2"])
def test_a_further_worker_that_cannot_start_does_not_end_what_serves(shop: App, fresh_id: str, gunicorn: str) -> None:
    with shop.server.visited() as visits:
        _release(shop, fresh_id, _ONLY_ONCE, gunicorn)
        time.sleep(1)
    assert visits.failures == []
    assert visits.texts()[-1] == fresh_id
    assert "slipway: a further worker could not start: 1 serve without it" in _said(shop)
    assert len(_imports(shop, fresh_id, 1)) == 1
    live = shop.observe()["slot"]
    assert len(shop.server.shell(f"pgrep -P $(supervisorctl pid handover-{live})").split()) == 1


def test_a_server_whose_first_worker_still_imports_can_be_stopped(shop: App, fresh_id: str) -> None:
    request = shop.release_request(fresh_id, {"web.py": _APP.format(importing="time.sleep(3)")})
    running = threading.Thread(target=shop.server.run_agent, args=("release", request))
    before = _said(shop).count("Booting worker")
    running.start()
    while _said(shop).count("Booting worker") == before:
        time.sleep(0.05)
    idle = {"blue": "green", "green": "blue"}[shop.observe()["slot"] or "green"]
    began = time.monotonic()
    shop.server.shell(f"supervisorctl stop handover-{idle}")
    assert time.monotonic() - began < 5
    running.join()
    assert _said(shop).count("Booting worker") == before + 1, "nobody follows a worker that was not ready"


def test_a_release_does_not_wait_for_what_the_old_one_still_answers(shop: App, fresh_id: str) -> None:
    _release(shop, fresh_id)
    answers: list[str] = []
    visitor = threading.Thread(target=lambda: answers.append(shop.server.text("/sleep/4")))
    visitor.start()
    time.sleep(0.3)
    began = time.monotonic()
    _release(shop, f"{fresh_id}-b")
    took = time.monotonic() - began
    assert answers == []
    assert shop.server.text() == f"{fresh_id}-b"
    # the one after it does: there are two slots
    request = shop.release_request(f"{fresh_id}-c", {"web.py": _APP.format(importing="")})
    done = shop.server.run_agent("release", request)
    assert done.returncode == 0, done.stderr
    assert "still answers what it was asked: waiting for it, 5 s at most" in done.stderr
    visitor.join()
    assert answers == [fresh_id]
    assert took < 4
    assert shop.server.text() == f"{fresh_id}-c"


def test_an_old_release_that_does_not_end_is_ended(shop: App, fresh_id: str) -> None:
    """gunicorn gives up after the drain, supervisor some seconds later: the slot is free for the next release."""
    _release(shop, fresh_id)
    slot = shop.observe()["slot"]
    visitor = threading.Thread(target=shop.server.get, args=("/sleep/9",))
    visitor.start()
    time.sleep(0.3)
    shop.server.shell(f"kill -STOP $(supervisorctl pid handover-{slot})")  # the master does not hear anything any more
    _release(shop, f"{fresh_id}-b")
    assert shop.server.text() == f"{fresh_id}-b"
    _release(shop, f"{fresh_id}-c")
    assert shop.server.text() == f"{fresh_id}-c"
    visitor.join()
