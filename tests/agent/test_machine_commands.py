"""Commands about the machine itself: claims, host keys, upgrades, set-up."""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from pathlib import Path

import pytest

from pulumi_slipway.agent_bundle import agent_bundle_document, agent_digest, agent_pyz
from tests.agent.server import OWNER, AgentFailed, App, Server, key_pair, source


def test_an_app_of_another_owner_is_refused(app: App) -> None:
    for command, more in (
        ("claim", {}),
        ("remove", {}),
        ("rollback", {}),
        ("release", app.release_request("x", source("x"))),
    ):
        with pytest.raises(AgentFailed, match="belongs to another stack"):
            app.server.agent(command, {**more, "app": app.name, "owner": "somebody else"})
    assert app.server.text() == "old"


def test_a_server_tells_whether_anything_serves_on_it(app: App) -> None:
    assert app.server.agent("observe", {"serving": True})["serving"] is True
    assert "serving" not in app.server.agent("observe", {})


@pytest.mark.parametrize("name", ["root", "www-data", "Shop", "../etc", "a-build", "x" * 27, ""])
def test_names_that_are_no_apps_are_refused(server: Server, name: str) -> None:
    before = server.shell("ls /srv")
    with pytest.raises(AgentFailed):
        server.agent("claim", {"app": name, "owner": OWNER})
    assert server.shell("ls /srv") == before


def test_a_folder_of_somebody_else_is_refused(server: Server) -> None:
    server.shell("mkdir -p /srv/ftp && touch /srv/ftp/precious")
    with pytest.raises(AgentFailed, match="is not Slipway's"):
        server.agent("claim", {"app": "ftp", "owner": OWNER})
    server.shell("rm -r /srv/ftp")


def test_removing_an_app_leaves_nothing_of_it_and_others_serve(app: App, fresh_id: str) -> None:
    second = App(app.server, "second")
    second.claim()
    second.server.agent("site", _site(second, "second.example"))
    second.release(fresh_id, source("second"), static=None)
    ask = {"app": "second", "owner": OWNER}
    with app.server.visited() as visits:
        assert app.server.agent("remove", ask) == {"removed": True}
    assert visits.failures == []
    places = "/etc /srv /run /var/log/slipway /var/log/nginx /var/lib/slipway"
    found = app.server.shell(f"find {places} -name '*second*' -not -path '/run/slipway-agent/*' 2>/dev/null || true")
    assert found == ""
    assert app.server.shell("getent passwd second second-build || true") == ""
    assert app.server.shell("pgrep -u second || true", check=False) == ""
    assert app.server.agent("remove", ask) == {"removed": False}
    assert app.server.text() == "old"


def test_an_app_that_was_claimed_anew_is_not_removed_by_the_claim_of_before(server: Server) -> None:
    ask = {"app": "turns", "owner": OWNER}
    server.agent("claim", {**ask, "turn": "first"})
    server.agent("claim", {**ask, "turn": "second"})
    assert server.agent("remove", {**ask, "turn": "first"}) == {"removed": False}
    assert server.shell("ls /srv/turns/claim.json")
    assert server.agent("remove", {**ask, "turn": "second"}) == {"removed": True}


def test_data_may_be_kept_for_a_later_claim(server: Server) -> None:
    second = App(server, "keeper")
    second.claim()
    server.shell("echo precious > /srv/keeper/shared/data/file && chown keeper: /srv/keeper/shared/data/file")
    server.agent("remove", {"app": "keeper", "owner": OWNER, "keep_data": True})
    assert server.shell("ls -A /srv/keeper").split() == ["claim.json", "shared"]
    server.agent("claim", {"app": "keeper", "owner": "a new stack"})
    assert server.shell("stat -c %U /srv/keeper/shared/data/file").strip() == "keeper"
    server.agent("remove", {"app": "keeper", "owner": "a new stack"})
    server.shell("test ! -e /srv/keeper")


def test_an_upgrade_replaces_the_agent_only_by_one_that_works(server: Server) -> None:
    wanted = agent_digest()
    assert server.agent("upgrade", agent_bundle_document()) == {"agent": wanted}
    broken = b"#!/usr/bin/python3 -I\nraise SystemExit(3)\n"
    with pytest.raises(AgentFailed, match="does not work here"):
        server.agent(
            "upgrade",
            {"sha256": hashlib.sha256(broken).hexdigest(), "pyz": base64.b64encode(broken).decode()},
        )
    with pytest.raises(AgentFailed, match="damaged on its way"):
        server.agent("upgrade", {**agent_bundle_document(), "sha256": "0" * 64})
    assert server.agent("observe", {})["agent"] == wanted
    assert len(server.shell("ls /usr/local/lib/slipway/*.pyz").split()) <= 2


def test_only_the_permanent_host_key_is_left(server: Server, tmp_path: Path) -> None:
    pair = key_pair(tmp_path, "ed25519")
    install = {"install": {"private": pair.private, "public": pair.public}, "only": False}
    assert server.agent("host-keys", install)["removed"] == []
    assert set(_offered(server)) == {"ecdsa-sha2-nistp256", "ssh-ed25519"}
    for expected in (["ssh_host_ecdsa_key"], []):
        removed = server.agent("host-keys", {"only": True})["removed"]
        assert [name for name in removed if "ecdsa" in name] == expected
    assert _offered(server) == ["ssh-ed25519"]
    assert (
        server.shell("ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -v '^#'").split()[1:3]
        == pair.public.split()[:2]
    )
    other = key_pair(_folder(tmp_path), "ed25519")
    with pytest.raises(AgentFailed, match="do not belong together"):
        server.agent("host-keys", {"install": {"private": pair.private, "public": other.public}})
    assert _offered(server) == ["ssh-ed25519"]
    journal = server.shell("cat /var/lib/slipway/journal.jsonl")
    assert pair.private.splitlines()[2] not in journal


def test_bootstrap_waits_for_the_end_and_shows_what_went_wrong(server: Server) -> None:
    assert server.agent("bootstrap", {"timeout": 5})["facts"]["nginx"]
    server.shell("cd /var/lib/slipway && mv bootstrapped aside && mv bootstrap.sh script")
    try:
        with pytest.raises(AgentFailed, match="set-up failed, run the same command again, or raise generation"):
            server.agent("bootstrap", {"timeout": 5})
        server.shell("cd /var/lib/slipway && echo 'echo no route to the mirror; exit 100' > bootstrap.sh")
        with pytest.raises(AgentFailed, match=r"\(exit status 100\), also .* raise generation") as caught:
            server.agent("bootstrap", {"timeout": 5})
        assert "no route to the mirror" in str(caught.value)
        server.shell("cd /var/lib/slipway && echo 'echo on and on; sleep 60' > bootstrap.sh")
        began = time.monotonic()
        with pytest.raises(AgentFailed, match=r"did not end within \d s \(timeout\)"):
            server.agent("bootstrap", {"timeout": 2})
        assert time.monotonic() - began < 5
        server.shell("mv /run/cloud-init/result.json /run/cloud-init/aside")
        with pytest.raises(AgentFailed, match="did not end within 1 s"):
            server.agent("bootstrap", {"timeout": 1})
    finally:
        server.shell(
            "cd /var/lib/slipway; mv aside bootstrapped; mv script bootstrap.sh;"
            " test ! -e /run/cloud-init/aside || mv /run/cloud-init/aside /run/cloud-init/result.json"
        )


def test_a_first_boot_that_was_interrupted_is_finished_by_the_agent(server: Server) -> None:
    server.shell("rm /var/lib/slipway/bootstrapped /etc/apt/apt.conf.d/20auto-upgrades")
    done = server.run_agent("bootstrap", {"timeout": 60})
    assert done.returncode == 0, done.stderr
    assert "slipway: bootstrap complete" in done.stderr
    server.shell("test -f /var/lib/slipway/bootstrapped -a -f /etc/apt/apt.conf.d/20auto-upgrades")
    assert "running the set-up again" not in server.run_agent("bootstrap", {"timeout": 5}).stderr


def test_an_upgrade_brings_the_units_of_the_new_agent(app: App) -> None:
    before, after = "look at the certificates daily", "look at the certificates every day"
    described = "systemctl show --property Description slipway-renew.timer"
    assert before in app.server.shell(described)
    newer = _changed_agent("units.py", before, after)
    document = {"sha256": hashlib.sha256(newer).hexdigest(), "pyz": base64.b64encode(newer).decode()}
    try:
        with app.server.visited() as visits:
            app.server.agent("upgrade", document)
        assert after in app.server.shell(described)
        assert visits.failures == []
        # an upgrade that was interrupted, or a file that somebody edited: made good by the next one
        app.server.shell("rm /etc/systemd/system/slipway-renew.timer && systemctl daemon-reload")
        app.server.agent("upgrade", document)
        assert after in app.server.shell(described)
    finally:
        app.server.install_agent()
    assert before in app.server.shell(described)


def test_the_agent_runs_from_modules_that_are_compiled(app: App) -> None:
    loaded = "python3 -ISv /usr/local/lib/slipway/agent observe </dev/null 2>&1 >/dev/null | grep 'code object from'"
    assert "/slipway_agent/__pycache__/observe." in app.server.shell(loaded)
    # a folder for each version that is there, and nothing else
    kept = app.server.shell("cd /usr/local/lib/slipway && ls -d agent-*").split()
    assert {name for name in kept if not name.endswith(".pyz")} <= {Path(name).stem for name in kept if "." in name}
    assert app.server.shell("find /usr/local/lib/slipway ! -user root -o -perm /022 ! -type l") == ""


def test_an_app_whose_folder_is_gone_is_told_as_absent_and_may_come_again(server: Server) -> None:
    lost = App(server, "lost")
    lost.claim()
    server.agent("site", _site(lost, "lost.example"))
    lost.release("r1", source("lost"), static=None)
    server.shell("rm -r /srv/lost")
    began = time.monotonic()
    observed = lost.observe()
    assert time.monotonic() - began < 1
    assert (observed["claimed"], observed["live"], observed["serial"]) == (False, None, 0)
    assert (observed["site"]["serial"], observed["site"]["files"]) == (0, {})
    lost.claim()
    server.agent("site", _site(lost, "lost.example"))
    lost.release("r1", source("found"), static=None)
    assert server.get(host="lost.example")[1] == "found"
    server.agent("remove", {"app": "lost", "owner": OWNER, "keep_data": True})
    observed = lost.observe()
    assert (observed["claimed"], observed["live"]) == (False, None), "data that were kept are no app"
    lost.claim()
    server.agent("remove", {"app": "lost", "owner": OWNER})


def _changed_agent(module: str, old: str, new: str) -> bytes:
    """The agent of this checkout, but for a text in one of its modules."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(agent_pyz())) as source_zip, zipfile.ZipFile(buffer, "w") as target:
        for name in source_zip.namelist():
            data = source_zip.read(name)
            if name.endswith(f"/{module}"):
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode())
            target.writestr(name, data)
    return b"#!/usr/bin/python3 -I\n" + buffer.getvalue()


def test_observing_takes_no_lock(app: App) -> None:
    app.server.shell(f"flock /run/slipway-agent/locks/app-{app.name} sleep 3 >/dev/null 2>&1 &")
    began = time.monotonic()
    assert app.observe()["live"].startswith("old-")
    assert time.monotonic() - began < 2


def _offered(server: Server) -> list[str]:
    lines = server.shell("ssh-keyscan 127.0.0.1 2>/dev/null").splitlines()
    return sorted({line.split()[1] for line in lines if not line.startswith("#")})


def _folder(parent: Path) -> Path:
    folder = parent / "other"
    folder.mkdir()
    return folder


def _site(app: App, name: str) -> dict[str, object]:
    from pulumi_slipway.app.site import SiteSpec, render_site

    files = render_site(SiteSpec(app.name, [name]))
    request = app.site_request(
        {path: {"content": file.content, "mode": file.mode} for path, file in files.items()}, None, [name]
    )
    request["certificate"]["addresses"] = []
    return request
