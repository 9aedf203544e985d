"""What a preview says, what was done on the server, and the way back: by `slipway`, and by the source."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.e2e.checkout import Checkout


def preview(site: Checkout) -> str:
    return site.pulumi("preview", "--stack", "dev").stdout


def quiet(printed: str) -> bool:
    """Nothing is said of what would change: only what the app was taken for."""
    return not [
        word for word in ("guestbook: release", "guestbook: on the server", "guestbook: /etc") if word in printed
    ]


def slipway(site: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    return site._run(["slipway", *arguments, "--stack", "dev"], site.environment, True, 120)


def commit(site: Checkout, subject: str) -> None:
    site.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", subject)


def test_a_preview_says_what_a_release_changes_and_nothing_when_nothing_does(site: Checkout) -> None:
    first = site.git("rev-parse", "HEAD").strip()
    assert quiet(preview(site))
    site.mark("planned")
    site.edit("../requirements.txt", "flask==", "cowsay==6.1\nflask==")
    commit(site, "Cows in the pages")
    site.pulumi("config", "set", "--path", "slipway:environment.MOO", "loud", "--stack", "dev")
    try:
        printed = preview(site)
        assert ": Cows in the pages (" in printed
        assert "1 commit further" in printed
        assert "files: 2 changed (" in printed
        assert "guestbook/templates/base.html" in printed
        assert "variables: new MOO" in printed
        assert "dependencies: new cowsay 6.1" in printed
        assert "loud" not in printed
    finally:
        site.git("reset", "-q", "--hard", first)
    assert quiet(preview(site))


@pytest.mark.long  # each part by itself is in tests/agent/test_drift.py
def test_what_was_changed_on_the_server_is_shown_and_mended_by_up(site: Checkout) -> None:
    live = site.live()
    place = f"/srv/guestbook/releases/{live}/code"
    nginx = "/etc/nginx/sites-enabled/zz-slipway-guestbook.conf"
    spoil = f"echo '# edited' >> $(find {place} -name views.py); sed -i 's/^    server_name /    # &/' {nginx}"
    site.machine.root_shell(f"{spoil}; ufw disable; systemctl disable slipway-renew.timer")
    printed = preview(site)
    assert f"{live} on the server is not as it was made, and is mended: code/" in printed
    assert f"{nginx} was edited on the server, and will be put right" in printed
    assert "-    #     server_name " in printed
    assert "the firewall (ufw) is off" in printed
    assert "slipway-renew.timer" in printed
    site.up()
    assert site.live() == live
    assert site.visitor().get("/").status == 200
    assert "Status: active" in site.machine.root_shell("LC_ALL=C ufw status")
    assert site.changes() == {}
    assert quiet(preview(site))


def test_back_on_the_server_and_forth_by_the_source_without_an_upload(site: Checkout) -> None:
    before = site.live()
    site.mark("regretted")
    site.up()
    wanted = site.live()
    begun = time.monotonic()
    done = slipway(site, "rollback")
    print(f"slipway rollback: {time.monotonic() - begun:.1f} s")
    assert "no migration is run backwards" in done.stderr
    assert site.live() == before
    printed = preview(site)
    assert f"rolled back on the server to {before}, from {wanted}, by " in printed
    assert f"release {before} → {wanted}" in printed
    states = {e["id"]: e for e in json.loads(slipway(site, "releases", "--json").stdout)["releases"]}
    assert (states[before]["state"], states[wanted]["state"]) == ("live", "bad")
    assert "@" in states[wanted]["message"]["who"]
    printed = site.up()
    assert "uploading" not in printed
    assert f"{wanted} is staged already" in printed
    assert site.live() == wanted
    # back in the source
    site.revert()
    printed = site.up()
    assert "uploading" not in printed
    assert site.live() == before
    assert site.changes() == {}
    assert "rollback" in slipway(site, "journal").stdout
    assert f"release {before}" in slipway(site, "status").stdout
    assert slipway(site, "logs", "-n", "5").stdout
