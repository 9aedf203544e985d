"""What an app keeps from release to release, and what is done to its database once: on a real server."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from tests.agent.server import AgentFailed, App, source

PLACE = "/srv/shared/shared"


@pytest.fixture
def emptied(app: App) -> App:
    """The app, with nothing in its data but what the next release puts there."""
    app.server.shell(f"find {PLACE} -mindepth 1 -maxdepth 1 ! -name data ! -name media -exec rm -r {{}} +")
    app.server.shell(f"find {PLACE}/data {PLACE}/media -mindepth 1 -delete")
    return app


def with_database(app: App, **more: Any) -> dict[str, Any]:
    name = f"{PLACE}/data/shared.db"
    return {
        "environment": {"DATABASE_URL": f"sqlite:///{name}"},
        "database": {"engine": "sqlite", "host": "", "name": name, "moved_from": "sqlite"},
        **more,
    }


def make_table(name: str) -> str:
    """A command that makes a table, as a migration does."""
    return f"python -c \"import sqlite3; sqlite3.connect('{PLACE}/data/shared.db').execute('CREATE TABLE {name} (n)')\""


def journal(app: App) -> dict[str, Any]:
    found: dict[str, Any] = app.server.agent("journal", {"app": app.name, "lines": 1})["entries"][0]
    return found


# ------------------------------------------------------------------------------------------------- persistent


def test_what_an_app_keeps_outlives_releases_and_is_begun_with_what_the_source_has(emptied: App, fresh_id: str) -> None:
    app = emptied
    files = source("one", instance__config_dot_py="A = 1", instance__start_dot_txt="from the source", note_dot_txt="n")
    kept = ["instance", "uploads", "state.json"]
    app.release(fresh_id, files, persistent=kept)
    code = f"/srv/shared/releases/{fresh_id}/code"
    assert app.server.shell(f"readlink {code}/instance {code}/uploads {code}/state.json").split() == [
        f"{PLACE}/instance",
        f"{PLACE}/uploads",
        f"{PLACE}/state.json",
    ]
    assert app.server.shell(f"cat {code}/instance/start.txt") == "from the source"
    user = "setpriv --reuid=shared --regid=shared --clear-groups"
    for place in ("instance/start.txt", "uploads/new", "state.json"):
        app.server.shell(f"{user} sh -c 'echo mine > {code}/{place}'")
    for place in ("web.py", "note.txt", "new", "instance.new"):
        assert app.server.shell(f"{user} sh -c 'echo mine > {code}/{place}' 2>&1 || echo refused").endswith("refused\n")
    changed = {**files, "instance/start.txt": "another text", "instance/late.txt": "later"}
    app.release(f"{fresh_id}-b", changed, persistent=kept)
    assert app.server.shell(f"cat {PLACE}/instance/start.txt") == "mine\n"
    assert app.server.shell(f"ls {PLACE}/instance").split() == ["config.py", "start.txt"]
    # of the same source, with linked code
    app.release(f"{fresh_id}-c", changed, persistent=kept, environment={"GREETING": "again"})
    assert app.server.shell(f"readlink /srv/shared/releases/{fresh_id}-c/code/uploads").strip() == f"{PLACE}/uploads"
    app.server.agent("rollback", {"app": app.name, "owner": "owner-of-the-tests"})
    assert app.server.shell("cat /srv/shared/live/code/state.json") == "mine\n"
    # other paths of the same source: its own content is back where nothing is kept any more
    app.release(f"{fresh_id}-d", changed, persistent=["uploads"])
    assert app.server.shell(f"cat /srv/shared/releases/{fresh_id}-d/code/instance/start.txt") == "another text"


def test_what_was_emptied_by_the_app_stays_empty(emptied: App, fresh_id: str) -> None:
    app = emptied
    files = source("one", media__first_dot_txt="1")
    app.release(fresh_id, files, persistent=["media"])
    assert app.server.shell(f"ls {PLACE}/media").split() == ["first.txt"]
    app.server.shell(f"rm {PLACE}/media/first.txt")
    app.release(f"{fresh_id}-b", {**files, "note.txt": ""}, persistent=["media"])
    assert app.server.shell(f"ls {PLACE}/media") == ""


@pytest.mark.parametrize(
    ("files", "kept", "said"),
    [
        ({"shop/views.py": ""}, ["shop"], r"'shop' holds code of the app \(shop/views.py\)"),
        ({}, ["web.py"], r"'web.py' holds code"),
        ({}, ["../x"], "'../x' must lie within"),
        ({}, ["a", "a/b"], "'a/b' lies in another"),
        ({}, [".slipway"], "is Slipway's own"),
        ({"taken": ""}, ["taken"], "taken is a folder, and 'taken' of this release a file"),
    ],
)
def test_paths_that_cannot_be_kept_are_refused(
    emptied: App, fresh_id: str, files: dict[str, str], kept: list[str], said: str
) -> None:
    emptied.server.shell(f"mkdir {PLACE}/taken")
    with pytest.raises(AgentFailed, match=said):
        emptied.release(fresh_id, source("x") | files, persistent=kept)
    assert emptied.server.text() == "old"


def test_a_link_that_the_app_made_leads_root_nowhere(emptied: App, fresh_id: str) -> None:
    app = emptied
    app.server.shell(f"mkdir -m 700 /root/secret && ln -s /root/secret {PLACE}/.slipway && ln -s /root {PLACE}/up")
    try:
        with pytest.raises(AgentFailed):
            app.release(fresh_id, source("x"), persistent=["up/new"], **with_database(app, setup=["true"]))
        assert app.server.shell("ls -A /root/secret; ls -d /root/new 2>/dev/null || true") == ""
    finally:
        app.server.shell(f"rm -r /root/secret {PLACE}/.slipway {PLACE}/up")


# ------------------------------------------------------------------------------------------------- migrations


@pytest.mark.long
def test_migrations_are_skipped_while_nothing_that_feeds_them_changes(emptied: App, fresh_id: str) -> None:
    app = emptied
    command = f"{make_table('t')} || true; echo ran >> $HOME/data/runs"

    def release(number: int, inputs: str | None, **more: Any) -> str | None:
        given = with_database(app, commands={"build": [], "release": [more.pop("command", command)]}, **more)
        wanted = {"inputs": inputs, "force": given.pop("force", False)}
        app.release(f"{fresh_id}-{number}", source(f"text {number}"), migration=wanted, **given)
        done: str | None = journal(app).get("migration")
        return done

    assert release(1, "a") == "done"
    assert release(2, "a") == "skipped"
    assert release(3, "b") == "done"
    assert release(4, "b", force=True) == "done"
    assert release(5, None) == "done"
    assert release(6, "b", environment={"OTHER": "value"}) == "done"
    assert release(7, "b", environment={"OTHER": "value"}, command=command + "; true") == "done"
    assert release(8, "b", environment={"OTHER": "value"}, command=command + "; true") == "skipped"
    app.server.shell(f"rm {PLACE}/data/shared.db*")  # by hand: the tables are gone
    assert release(9, "b", environment={"OTHER": "value"}, command=command + "; true") == "done"
    assert app.server.shell(f"wc -l < {PLACE}/data/runs").strip() == "7"


@pytest.mark.long
def test_a_migration_that_failed_is_not_skipped(emptied: App, fresh_id: str) -> None:
    app = emptied
    good = with_database(app, migration={"inputs": "a"}, commands={"build": [], "release": [make_table("t")]})
    app.release(fresh_id, source("one"), **good)
    failing = {**good, "migration": {"inputs": "b"}, "commands": {"build": [], "release": ["false"]}}
    with pytest.raises(AgentFailed):
        app.release(f"{fresh_id}-b", source("two"), **failing)
    assert journal(app)["migration"] == "failed"
    again = {**good, "commands": {"build": [], "release": ["echo ran >> $HOME/data/runs"]}}
    with pytest.raises(AgentFailed):  # the first commands, after another that failed: they run, and find the table
        app.release(f"{fresh_id}-c", source("three"), **good)
    app.release(f"{fresh_id}-d", source("four"), **again)
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]


# ------------------------------------------------------------------------------------------------- setup


@pytest.mark.long
def test_setup_commands_run_once_on_a_new_database(emptied: App, fresh_id: str) -> None:
    app = emptied
    given = with_database(app, setup=[f"{make_table('t')} && echo ran >> $HOME/data/runs"])
    broken = source("x", health="503 Sorry")
    request = app.release_request(fresh_id, broken, **given)
    request["health"]["timeout"] = 1
    with pytest.raises(AgentFailed, match="503"):
        app.server.agent("release", request)
    for number in range(3):
        app.release(f"{fresh_id}-{number}", source(f"text {number}"), **given)
    app.server.agent("rollback", {"app": app.name, "owner": "owner-of-the-tests"})
    app.release(f"{fresh_id}-4", source("text 4"), **given)
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]


def test_a_setup_command_that_failed_at_first_is_run_again(emptied: App, fresh_id: str) -> None:
    app = emptied
    command = f'{make_table("t")}; test -n "$ADMIN" && echo ran >> $HOME/data/runs'
    given = with_database(app, setup=[command])
    with pytest.raises(AgentFailed, match="the setup command .* failed"):
        app.release(fresh_id, source("one"), **given)
    given["environment"] |= {"ADMIN": "somebody"}
    app.release(f"{fresh_id}-b", source("one"), **given)
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]


@pytest.mark.long
def test_a_setup_command_never_runs_unasked_on_a_database_in_use(emptied: App, fresh_id: str) -> None:
    app = emptied
    app.release(fresh_id, source("one"), **with_database(app, commands={"build": [], "release": [make_table("t")]}))
    command = "echo ran >> $HOME/data/runs"
    given = with_database(app, setup=[command])
    with pytest.raises(AgentFailed, match="may destroy what is there") as caught:
        app.release(f"{fresh_id}-b", source("two"), **given)
    assert app.server.text() == "one"
    number = answer_in(caught.value)
    with pytest.raises(AgentFailed, match="may destroy"):
        app.release(f"{fresh_id}-b", source("two"), **given, setup_answer="run 01234567")
    app.release(f"{fresh_id}-b", source("two"), **given, setup_answer=f"run {number}")
    app.release(f"{fresh_id}-c", source("three"), **given, setup_answer=f"run {number}")
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]
    other = with_database(app, setup=[command, "echo other >> $HOME/data/runs"])
    with pytest.raises(AgentFailed, match="`echo other") as caught:
        app.release(f"{fresh_id}-d", source("four"), **other)
    app.release(f"{fresh_id}-d", source("four"), **other, setup_answer=f"done {answer_in(caught.value)}")
    app.release(f"{fresh_id}-e", source("five"), **other)
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]


def test_an_interrupted_setup_command_asks(emptied: App, fresh_id: str) -> None:
    app = emptied
    given = with_database(app, setup=["echo ran >> $HOME/data/runs"])
    request = app.release_request(fresh_id, source("one"), **given)
    request["setup"] = [f"{request['setup'][0]}; sleep 3"]
    releasing = threading.Thread(target=app.server.run_agent, args=("release", request))
    releasing.start()
    app.server.shell(f"until test -e {PLACE}/data/runs; do sleep 0.1; done")
    app.server.shell(
        'kill -9 $(python3 -c \'import json; print(json.load(open("/run/slipway-agent/locks/app-shared"))["pid"])\')'
    )
    releasing.join()
    assert app.server.text() == "old"
    with pytest.raises(AgentFailed, match="was begun on this database, and cut off") as caught:
        app.server.agent("release", request)
    app.server.agent("release", {**request, "setup_answer": f"done {answer_in(caught.value)}"})
    assert app.server.text() == "one"
    assert app.server.shell(f"cat {PLACE}/data/runs").split() == ["ran"]


def answer_in(error: AgentFailed) -> str:
    match = re.search(r"'run ([0-9a-f]{8})'", str(error))
    assert match is not None, str(error)
    return match[1]


# ------------------------------------------------------------------------------------------------- room


def test_a_full_disk_is_told_before_anything_is_begun(emptied: App, fresh_id: str) -> None:
    app = emptied
    request = app.release_request(fresh_id, source("new"))
    app.server.shell(
        "mkdir /srv/shared.aside && cp -a /srv/shared/. /srv/shared.aside/"
        " && mount -t tmpfs -o size=300m none /srv/shared && cp -a /srv/shared.aside/. /srv/shared/"
    )
    try:
        with pytest.raises(AgentFailed, match=r"disk has \d+ MiB free, and 501 MiB are needed"):
            app.server.agent("release", request)
        assert app.server.text() == "old"
        assert journal(app)["ok"] is False
        assert app.server.shell("find /srv/shared/work -type f") == ""
    finally:
        app.server.shell("umount -l /srv/shared && rm -r /srv/shared.aside")
    app.server.agent("release", request)
    assert app.server.text() == "new"


# ------------------------------------------------------------------------------------------------- snapshots


def test_a_database_is_dumped_before_a_migration_that_runs_and_the_last_dumps_are_kept(
    emptied: App, fresh_id: str
) -> None:
    app = emptied
    taken: list[str | None] = []
    for number, inputs in enumerate("abcdef"):
        command = make_table(f"t{number}")
        given = with_database(app, commands={"build": [], "release": [command]}, keep=2)
        app.release(
            f"{fresh_id}-{number}",
            source(f"text {number}"),
            migration={"inputs": inputs, "snapshot": True},
            **given,
        )
        taken.append(journal(app)["snapshot"])
    assert taken[0] is None  # there was nothing yet
    found = app.server.shell("ls /srv/shared/snapshots").split()
    assert found == taken[-3:]
    path = f"/srv/shared/snapshots/{taken[-1]}/data/shared.db"
    tables = "print(len(list(sqlite3.connect(sys.argv[1]).execute('SELECT name FROM sqlite_master'))))"
    assert app.server.shell(f'python3 -c "import sqlite3, sys; {tables}" {path}').strip() == "5"
    assert app.server.shell(f"stat -c '%a %U' {path}").split() == ["600", "root"]
    as_app = "setpriv --reuid=shared --regid=shared --clear-groups"
    assert "Permission denied" in app.server.shell(f"{as_app} ls /srv/shared/snapshots {path} 2>&1 || true")
