"""Releases on a real server: nginx, supervisor and gunicorn as they are in production."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.agent.server import OWNER, AgentFailed, App, pack, source


def test_a_release_under_load_loses_no_request(app: App, fresh_id: str) -> None:
    with app.server.visited(rate=80) as visits:
        answer = app.release(fresh_id, source("new"))
        time.sleep(0.2)  # each visitor comes once more
    assert visits.failures == []
    assert visits.texts() == ["old", "new"]
    assert answer["release"] == fresh_id
    assert answer["changed"] is True
    assert set(answer["seconds"]) >= {"stage", "migrate", "start", "switch", "to_live", "retire", "workers"}


def test_requests_in_progress_are_answered_by_the_old_release(app: App, fresh_id: str) -> None:
    seen: list[str] = []
    # more than the old release can work on at once: some of them are still waiting when it is told to stop
    slow = [threading.Thread(target=lambda: seen.append(app.server.text("/slow"))) for _ in range(30)]
    request = app.release_request(fresh_id, source("new"))
    releasing = threading.Thread(target=app.server.agent, args=("release", request))
    for thread in slow:
        thread.start()
    time.sleep(0.1)
    releasing.start()
    for thread in [*slow, releasing]:
        thread.join()
    assert len(seen) == 30
    assert set(seen) == {"old"}


def test_a_live_release_is_not_released_again_but_its_serial_is_noted(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    app.server.agent("release", request)
    slot = app.observe()["slot"]
    answer = app.server.agent("release", {**request, "serial": 4711})
    assert answer["changed"] is False
    observed = app.observe()
    assert (observed["serial"], observed["live"], observed["slot"]) == (4711, fresh_id, slot)


def test_variables_alone_make_a_release_without_a_new_upload(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"), environment={"GREETING": "first words"})
    app.server.agent("release", request)
    app.server.shell("rm -r /home/deploy/incoming")
    second = {**request, "release": f"{fresh_id}-b", "environment": {"GREETING": "second words"}}
    app.server.agent("release", second)
    assert "second words" in app.server.text("/environment")
    app.server.shell(
        f"test /srv/shared/releases/{fresh_id}/code/web.py -ef /srv/shared/releases/{fresh_id}-b/code/web.py"
    )


def test_the_app_gets_its_variables_and_not_the_environment_of_the_server(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new"), environment={"GREETING": "welcome here", "PORT": "9000"})
    seen = app.server.text("/environment")
    assert "('GREETING', 'welcome here')" in seen
    assert f"('SLIPWAY_RELEASE', '{fresh_id}')" in seen
    assert "('HOME', '/srv/shared/shared')" in seen
    assert "SUPERVISOR" not in seen
    assert "'PORT'" not in seen


@pytest.mark.parametrize(
    ("files", "changes", "said"),
    [
        (source("x", extra="raise RuntimeError('the planets are wrong')"), {}, "the planets are wrong"),
        (source("x", extra="import os; os._exit(7)"), {}, "exited with code 7"),
        (source("x", health="503 Sorry"), {}, "answered 503, not 200"),
        (source("x"), {"health_text": "all is well"}, "without the text 'all is well'"),
        (source("x"), {"release": ["echo one; echo no such table >&2; exit 3"]}, "no such table"),
        (source("x"), {"build": ["echo gulp is missing; exit 1"]}, "gulp is missing"),
        (source("x"), {"release": ["sleep 30"]}, "did not end within 1 s"),
    ],
    ids=["import", "exit", "health status", "health text", "migration", "build", "time"],
)
def test_a_release_that_fails_says_why_and_changes_nothing(
    app: App, fresh_id: str, files: dict[str, str], changes: dict[str, object], said: str
) -> None:
    request = app.release_request(fresh_id, files)
    request["health"] |= {"timeout": 2, "text": changes.pop("health_text", None)}
    request["commands"] |= changes
    request["timeouts"] = {"release": 1}
    before = app.observe()
    with app.server.visited() as visits, pytest.raises(AgentFailed, match=said):
        app.server.agent("release", request)
    assert visits.failures == []
    assert visits.texts() == ["old"]
    assert app.observe() == before
    assert sorted(app.status()["processes"].values())[0] == "RUNNING"
    assert app.status()["processes"][before["slot"]] == "RUNNING"


def test_after_a_failure_the_next_good_release_needs_no_help(app: App, fresh_id: str) -> None:
    broken = app.release_request(fresh_id, source("broken", extra="import nothing_of_that_name"))
    with pytest.raises(AgentFailed, match="nothing_of_that_name"):
        app.server.agent("release", broken)
    app.release(f"{fresh_id}-b", source("mended"))
    assert app.server.text() == "mended"


def test_release_commands_run_once_as_the_app_with_its_variables(app: App, fresh_id: str) -> None:
    command = 'echo "$(id -un) $GREETING $(pwd)" >> "$HOME/data/migrations"'
    request = app.release_request(fresh_id, source("x", health="503 Sorry"), environment={"GREETING": "hello"})
    request["commands"]["release"] = [command]
    request["health"]["timeout"] = 1
    for _ in range(2):  # the commands succeed, what comes after them fails: not again for the same release
        with pytest.raises(AgentFailed):
            app.server.agent("release", request)
    lines = app.server.shell("cat /srv/shared/shared/data/migrations; rm /srv/shared/shared/data/migrations")
    assert lines.splitlines() == [f"shared hello /srv/shared/releases/{fresh_id}/code"]


def test_build_commands_see_no_secret_and_change_only_their_copy(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"), environment={"SECRET": "planted-secret"})
    request["commands"]["build"] = [
        "env > seen.txt; id -un >> seen.txt",
        "for place in /srv/shared/releases /srv/shared/shared/data /srv/shared/envs; do touch $place/x; done; true",
    ]
    request["build_environment"] = {"NODE_ENV": "production-like"}
    app.server.agent("release", request)
    code = f"/srv/shared/releases/{fresh_id}/code"
    seen = app.server.shell(f"cat {code}/seen.txt")
    assert "planted-secret" not in seen
    assert "NODE_ENV=production-like" in seen
    assert "shared-build" in seen
    assert app.server.shell("find /srv/shared -name x") == ""
    assert app.server.shell(f"find {code} ! -user root -o -perm /6022 ! -type l") == ""


def test_static_files_come_from_nginx_and_change_with_the_switch(app: App, fresh_id: str) -> None:
    files = source("new", assets__site_dot_css="body {}", assets__deep__x_dot_txt="deep")
    app.release(fresh_id, files, static={"url": "/static/", "folder": "assets"})
    status, body, headers = app.server.get("/static/site.css")
    assert (status, body) == (200, "body {}")
    assert "max-age" in headers["Cache-Control"]
    assert app.server.text("/static/deep/x.txt") == "deep"
    assert app.server.get("/static../code/web.py")[1] == "new"  # the app's answer, not the file
    app.release(f"{fresh_id}-b", source("bare"))
    assert app.server.get("/static/site.css")[0] == 404


def test_a_missing_static_folder_is_told(app: App, fresh_id: str) -> None:
    with pytest.raises(AgentFailed, match="'assets' is no folder of the source"):
        app.release(fresh_id, source("new"), static={"url": "/static/", "folder": "assets"})


def test_a_command_of_its_own_may_serve(app: App, fresh_id: str) -> None:
    server = (
        "import os, socket\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(os.environ['SLIPWAY_SOCKET'])\n"
        "os.chmod(os.environ['SLIPWAY_SOCKET'], 0o666); s.listen(64)\n"
        "while True:\n"
        "    c, _ = s.accept(); c.recv(65536)\n"
        "    c.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nown'); c.close()\n"
    )
    app.release(fresh_id, {"serve.py": server}, web={"kind": "command", "target": None, "command": "python serve.py"})
    assert app.server.text() == "own"


def test_an_asgi_app_is_served(app: App, fresh_id: str) -> None:
    code = (
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'5')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'async'})\n"
    )
    app.release(fresh_id, {"web.py": code}, web={"kind": "asgi", "target": "web:app", "command": None})
    assert app.server.text() == "async"


def test_a_damaged_archive_is_refused(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    request["archive"]["path"] = app.server.upload(pack(source("another")))["path"]
    request["archive"]["sha256"] = "0" * 64
    with pytest.raises(AgentFailed, match="is damaged"):
        app.server.agent("release", request)
    app.server.shell(f"test ! -e {request['archive']['path']}")
    request["archive"]["path"] = "/home/deploy/incoming/absent.tar.gz"
    with pytest.raises(AgentFailed, match="has it been uploaded"):
        app.server.agent("release", request)


def test_requirements_are_installed_once_and_shared(app: App, fresh_id: str) -> None:
    files = source(
        "new", extra="import itsdangerous; TEXT = itsdangerous.__name__", requirements_dot_txt="itsdangerous\n"
    )
    app.release(fresh_id, files)
    assert app.server.text() == "itsdangerous"
    app.release(f"{fresh_id}-b", files | {"web.py": files["web.py"] + "\n# changed\n"})
    used = "readlink /srv/shared/slots/live/venv".replace("slots/live", "live")
    first = app.server.shell(f"grep -h venv /srv/shared/releases/{fresh_id}/release.json")
    assert app.server.shell(f"grep -h venv /srv/shared/releases/{fresh_id}-b/release.json") == first
    assert app.server.shell(used).strip().rpartition("/")[2] in first
    assert app.server.shell("find /srv/shared/venvs ! -user root") == ""


def test_secret_values_do_not_show_in_what_the_agent_says_or_keeps(app: App, fresh_id: str) -> None:
    secret = "planted-in-the-environment"
    request = app.release_request(fresh_id, source("x"), environment={"TOKEN": secret})
    request["commands"]["release"] = ["echo token is $TOKEN; exit 1"]
    done = app.server.run_agent("release", request)
    assert done.returncode == 1
    assert "token is [secret]" in done.stderr
    assert secret not in done.stdout + done.stderr
    where = app.server.shell(f"grep -rl {secret} /srv /var/log /run /etc /var/lib/slipway || true").split()
    assert all(path.startswith("/srv/shared/envs/") for path in where)
    assert app.server.shell("stat -c %a-%U-%G " + " ".join(where)).split() == ["640-root-shared"] * len(where)


def test_a_rollback_and_a_site_do_not_quote_the_values_of_variables(app: App, fresh_id: str) -> None:
    secret, url = "planted-in-the-environment", "postgres://shop:pl4nted@db/shop"
    # starts as often as there is no file that says otherwise, then tells all it knows
    extra = (
        "if os.path.exists('/srv/shared/shared/data/broken'):"
        " raise RuntimeError(os.environ['TOKEN'] + ' ' + os.environ['URL'][16:23])"
    )
    app.release(fresh_id, source("new", extra=extra), environment={"TOKEN": secret, "URL": url})
    app.server.shell("touch /srv/shared/shared/data/broken && chmod 644 /srv/shared/shared/data/broken")
    try:
        with pytest.raises(AgentFailed, match=r"RuntimeError: \[secret\] \[secret\]") as caught:
            app.site(threads=7)
        assert secret not in str(caught.value)
        assert app.server.text() == "new"
        app.release(f"{fresh_id}-b", source("newer"))
        done = app.server.run_agent("rollback", {"app": app.name, "owner": OWNER, "release": fresh_id})
        assert done.returncode == 1
        assert "RuntimeError: [secret] [secret]" in done.stderr
        assert secret not in done.stdout + done.stderr
        assert "pl4nted" not in done.stdout + done.stderr
        journal = app.server.shell("cat /srv/shared/journal.jsonl")
        assert secret not in journal
    finally:
        app.server.shell("rm -f /srv/shared/shared/data/broken")
        app.site()


def test_a_corrected_health_rule_takes_effect_for_the_same_release(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    request["commands"]["release"] = ["echo once >> $HOME/data/runs"]
    wrong = {**request["health"], "path": "/environment", "text": "no such text", "timeout": 1}
    with pytest.raises(AgentFailed, match="without the text 'no such text'"):
        app.server.agent("release", {**request, "health": wrong, "drain": 7})
    app.server.agent("release", request)
    assert app.server.text() == "new"
    assert _record(app, fresh_id)["health"] == {**request["health"], "text": None}
    assert _record(app, fresh_id)["drain"] == 5
    assert app.server.shell("cat /srv/shared/shared/data/runs; rm /srv/shared/shared/data/runs").split() == ["once"]


def test_a_changed_rule_of_a_live_release_is_recorded_for_later_starts(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"))
    app.server.agent("release", request)
    changed = {
        **request,
        "serial": request["serial"] + 1,
        "health": {**request["health"], "path": "/request", "text": "'renamed.example'", "host": "renamed.example"},
        "drain": 3,
    }
    answer = app.server.agent("release", changed)
    assert answer["changed"] is False
    record = _record(app, fresh_id)
    assert (record["health"], record["drain"]) == (changed["health"], 3)
    app.release(f"{fresh_id}-b", source("newer"))
    done = app.server.run_agent("rollback", {"app": app.name, "owner": OWNER})
    assert "GET /request gives 200" in done.stderr
    assert app.server.text() == "new"


def test_a_smaller_number_of_kept_releases_takes_effect_for_a_live_one(app: App, fresh_id: str) -> None:
    for number in range(3):
        app.release(f"{fresh_id}-{number}", source(f"text {number}"))
    app.release(f"{fresh_id}-2", source("text 2"), keep=2)
    assert app.server.shell("ls /srv/shared/releases").split() == [f"{fresh_id}-1", f"{fresh_id}-2"]


def _record(app: App, release: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(app.server.shell(f"cat /srv/shared/releases/{release}/release.json"))
    return found


def test_a_rollback_restores_code_and_variables_and_skips_bad_releases(app: App, fresh_id: str) -> None:
    first, second, third = (f"{fresh_id}-{n}" for n in "abc")
    app.release(first, source("first"), environment={"GREETING": "the first ones"})
    app.release(second, source("second"))
    app.release(third, source("third"))
    ask = {"app": app.name, "owner": OWNER}
    with app.server.visited() as visits:
        assert app.server.agent("rollback", ask)["release"] == second
        assert app.server.agent("rollback", ask)["release"] == first
        time.sleep(0.2)  # each visitor comes once more
    assert visits.failures == []
    assert visits.texts() == ["third", "second", "first"]
    assert "the first ones" in app.server.text("/environment")
    states = {entry["id"]: entry["state"] for entry in app.status()["releases"]}
    assert (states[first], states[second], states[third]) == ("live", "bad", "bad")
    assert app.server.agent("rollback", {**ask, "release": third})["release"] == third
    assert app.server.text() == "third"


def test_only_the_last_releases_and_what_they_need_are_kept(app: App, fresh_id: str) -> None:
    for number in range(4):
        app.release(f"{fresh_id}-{number}", source(f"text {number}"), keep=2, environment={"N": f"{number}" * 9})
    place = "/srv/shared"
    kept = [f"{fresh_id}-2", f"{fresh_id}-3"]
    assert app.server.shell(f"ls {place}/releases").split() == kept
    assert len(app.server.shell(f"ls {place}/envs {place}/archives").split()) == 4 + 2
    assert len(app.server.shell(f"ls {place}/venvs").split()) == 1


def test_the_journal_tells_what_was_done(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new"), message={"who": "someone", "when": "now"})
    entry = app.server.agent("journal", {"app": app.name, "lines": 1})["entries"][0]
    assert entry["action"] == "release"
    assert (entry["release"], entry["who"], entry["ok"]) == (fresh_id, "someone", True)
