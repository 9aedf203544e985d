"""Who did what on a server, and back to what was kept: without an upload, by the last good release."""

from __future__ import annotations

from typing import Any

import pytest

from tests.agent.server import OWNER, AgentFailed, App, source

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MESSAGE = {"who": "ada@desk", "when": "2026-11-29T10:00:00Z", "commit": COMMIT, "subject": "Faster", "dirty": True}
ASK = {"app": "shared", "owner": OWNER}


def releases(app: App) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in app.server.agent("releases", ASK)["releases"]}


def test_a_release_tells_who_made_it_of_which_commit_and_how_long_it_took(app: App, fresh_id: str) -> None:
    app.release(fresh_id, source("new"), message=MESSAGE)
    told = releases(app)[fresh_id]
    assert (told["state"], told["message"]) == ("live", MESSAGE)
    assert set(told["seconds"]) >= {"stage", "migrate", "start", "switch", "to_live", "retire", "workers"}
    (entry,) = app.server.agent("journal", {**ASK, "lines": 1})["entries"]
    assert {key: entry[key] for key in MESSAGE} == MESSAGE


def test_a_kept_release_comes_back_without_its_upload_and_counts_as_good_again(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new"), environment={"GREETING": "of the first"})
    request["archive"]["content"] = "c" * 64
    app.server.agent("release", request)
    app.release(f"{fresh_id}-b", source("newer"))
    app.server.agent("rollback", {**ASK, "release": fresh_id})
    assert releases(app)[f"{fresh_id}-b"]["state"] == "bad"
    app.release(f"{fresh_id}-b", source("newer"))  # of the very one that was left
    assert releases(app)[f"{fresh_id}-b"]["state"] == "live"
    app.server.shell("rm -r /home/deploy/incoming")
    # another machine compresses the same source to other bytes
    again = {**request, "serial": app.serial + 1, "archive": {**request["archive"], "sha256": "d" * 64}}
    answer = app.server.agent("release", again)
    assert (answer["changed"], app.server.text()) == (True, "new")
    assert "of the first" in app.server.text("/environment")


def test_an_upload_that_is_missing_is_asked_for_and_is_no_failure_to_remember(app: App, fresh_id: str) -> None:
    request = app.release_request(fresh_id, source("new", "# never seen before"))
    app.server.shell("rm -r /home/deploy/incoming")
    before = app.server.shell("wc -l < /srv/shared/journal.jsonl")
    done = app.server.run_agent("release", request)
    assert (done.returncode, '"code": "upload"' in done.stdout) == (1, True), done.stdout
    assert app.server.shell("wc -l < /srv/shared/journal.jsonl") == before


def test_a_rollback_never_chooses_what_did_not_start_and_says_what_it_leaves(app: App, fresh_id: str) -> None:
    first, second, third = (f"{fresh_id}-{n}" for n in "abc")
    app.release(first, source("first"))
    app.release(second, source("second"))
    app.release(third, source("third"))
    with pytest.raises(AgentFailed):  # it was good before, and is not any more
        app.release(second, source("second"), health={"path": "/healthz", "status": 204, "timeout": 1})
    done = app.server.run_agent("rollback", {**ASK, "message": {"who": "eve@desk"}})
    assert (done.returncode, app.server.text()) == (0, "first")
    assert "no migration is run backwards" in done.stderr
    assert {key: releases(app)[key]["state"] for key in (first, second, third)} == {
        first: "live",
        second: "bad",
        third: "bad",
    }
    app.server.agent("rollback", {**ASK, "release": third})  # going back was the mistake
    assert releases(app)[first]["state"] == "good"
    entries = app.server.agent("journal", {**ASK, "lines": 2})["entries"]
    assert (entries[0]["action"], entries[0]["who"]) == ("rollback", "eve@desk")
    assert (entries[0]["release"], entries[0]["previous"]) == (first, third)


def test_the_log_of_the_live_release_is_told_without_the_values_of_its_variables(app: App, fresh_id: str) -> None:
    extra = "print('the token is ' + os.environ['TOKEN'], flush=True)"
    app.release(fresh_id, source("new", extra), environment={"TOKEN": "planted-in-the-log"})
    done = app.server.run_agent("logs", {**ASK, "lines": 100})
    assert "the token is [secret]" in done.stderr
    assert "planted" not in done.stdout + done.stderr
