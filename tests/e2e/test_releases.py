"""Releases under visitors: a good one loses nothing, a bad one changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.background import start_load
from tests.e2e.checkout import Checkout

RATE, SECONDS = 100.0, 20.0
"""Requests a second, seconds: long enough for a release on a machine that is busy with other tests."""


@pytest.mark.parametrize("keepalive", [False, True], ids=["new connections", "keep-alive"])
def test_a_release_under_load_loses_no_request(site: Checkout, keepalive: bool) -> None:
    site.mark("old")
    site.up()
    site.edit("templates/base.html", 'data-marker="old"', 'data-marker="new"')
    with start_load(site.url, RATE, SECONDS, keepalive, ca=site.certificate) as load:
        site.up()
        result = load.wait()
    assert result.failures == {}
    assert list(result.markers) == ["old", "new"]


def test_static_files_change_together_with_the_pages(site: Checkout) -> None:
    site.edit("static/guestbook.css", ":root", "/* second sheet */\n:root")
    site.up()
    answer = site.visitor().get("/static/guestbook.css")
    assert "second sheet" in answer.text
    assert "max-age" in answer.headers.get("Cache-Control", "") or "Expires" in answer.headers


def break_import(site: Checkout) -> str:
    site.edit("__init__.py", "def create_app(", "import no_such_module_here\n\n\ndef create_app(")
    return "no_such_module_here"


def break_health(site: Checkout) -> str:
    line = "    release = current_app.config"
    site.edit("health.py", line, f'    raise RuntimeError("health is broken on purpose")\n{line}')
    settings = site.folder / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text().replace("path: /healthz", "path: /healthz\n      timeout: 10"))
    return "health is broken on purpose"


def break_migration(site: Checkout) -> str:
    path = site.folder / "examples/guestbook/migrations/versions/0003_broken.py"
    path.write_text(
        'revision = "0003"\ndown_revision = "0002"\n\n\n'
        'def upgrade():\n    raise RuntimeError("no such column, alas")\n'
    )
    return "no such column, alas"


def break_variable(site: Checkout) -> str:
    settings = site.folder / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text() + "  slipway:environment:\n    TRUSTED_PROXIES: many\n")
    return "invalid literal for int() with base 10: 'many'"


def what_serves(site: Checkout) -> str:
    """Slot, code, environment, variables and processes of the live release; one before it may still be ending."""
    links = "readlink -f /srv/guestbook/live /srv/guestbook/live/code /srv/guestbook/live/venv /srv/guestbook/live/env"
    processes = "for pid in $(pgrep -u guestbook); do echo $pid $(readlink /proc/$pid/cwd); done"
    code = "$(readlink -f /srv/guestbook/live/code)"
    found = site.machine.root_shell(f"{links}; {processes} | grep -F {code} | sort")
    assert len(found.splitlines()) > 4, found
    return found


@pytest.mark.parametrize("spoil", [break_import, break_health, break_migration, break_variable])
def test_a_bad_release_fails_with_the_apps_last_lines_and_changes_nothing(
    site: Checkout, spoil: Callable[[Checkout], str]
) -> None:
    live, serving = site.live(), what_serves(site)
    words = spoil(site)
    with start_load(site.url, 50, 15, False, ca=site.certificate) as load:
        printed = site.failing_up()
        result = load.wait()
    assert words in printed
    assert result.failures == {}
    assert site.live() == live
    assert what_serves(site) == serving

    site.machine.reboot()
    site.visitor().wait_until_it_answers()
    assert live in site.visitor().get("/").text
    assert site.visitor().get("/static/guestbook.css").status == 200

    site.revert()
    assert site.changes() == {}


def test_after_a_bad_release_the_next_good_one_needs_no_manual_step(site: Checkout) -> None:
    break_import(site)
    site.failing_up()
    site.revert()
    site.mark("mended")
    site.up()
    assert 'data-marker="mended"' in site.visitor().get("/").text
    assert site.changes() == {}


def test_the_automation_api_sees_the_same_stack(site: Checkout) -> None:
    from pulumi import automation

    options = automation.LocalWorkspaceOptions(env_vars=site.environment)
    # the program that starts Pulumi is found on this process's PATH
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", site.environment["PATH"])
        patch.chdir(site.folder)
        stack = automation.select_stack("dev", work_dir=str(site.folder), opts=options)
        assert set(stack.preview().change_summary) == {automation.OpType.SAME}
        summary = stack.up().summary.resource_changes
        assert summary is not None
        assert set(summary) == {"same"}
        assert stack.outputs()["url"].value == site.url
