"""The site step on a real server: all or nothing, what visitors of unknown names get, the certificate."""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest

from pulumi_slipway.app.site import SiteSpec, render_site
from tests.agent.server import AgentFailed, App, source


def _files(app: App, **spec: object) -> dict[str, dict[str, object]]:
    site = SiteSpec(app.name, [], [app.server.address], static_url="/static/", **spec)  # type: ignore[arg-type]
    return {path: {"content": file.content, "mode": file.mode} for path, file in render_site(site).items()}


def test_running_it_again_changes_nothing_and_reloads_nothing(app: App) -> None:
    app.site()
    before = app.server.shell("pgrep -P $(cat /run/nginx.pid)")
    assert app.site()["changed"] == []
    assert app.server.shell("pgrep -P $(cat /run/nginx.pid)") == before


@pytest.mark.parametrize("name", ["nginx", "supervisor", "gunicorn"])
def test_an_invalid_file_is_put_back_with_all_others(app: App, name: str) -> None:
    files = _files(app)
    broken = {
        "nginx": (f"/etc/nginx/sites-enabled/zz-slipway-{app.name}.conf", "nonsense here;\n", "nonsense"),
        "supervisor": (f"/etc/supervisor/conf.d/{app.name}.conf", "[program:x]\nautostart=perhaps\n", "perhaps"),
        "gunicorn": (f"/etc/slipway/apps/{app.name}/gunicorn.conf.py", "def (:\n", "no valid Python"),
    }
    path, text, said = broken[name]
    checked = "; ".join(f"sha256sum {path}" for path in sorted(files))
    before = app.server.shell(checked)
    files[path] = {**files[path], "content": str(files[path]["content"]) + text}
    other = "/etc/nginx/conf.d/00-slipway.conf"
    files[other] = {**files[other], "content": str(files[other]["content"]) + "# a valid change\n"}
    with app.server.visited() as visits, pytest.raises(AgentFailed, match=said):
        app.server.agent("site", app.site_request(files))
    assert visits.failures == []
    assert app.server.shell(checked) == before
    app.server.shell("nginx -t -q; test ! -e /srv/shared/site.undo.json")
    assert app.site()["changed"] == []


def test_an_edited_or_missing_file_is_observed_and_put_right(app: App) -> None:
    path = f"/etc/nginx/sites-enabled/zz-slipway-{app.name}.conf"
    wanted = app.observe()["site"]["files"]
    app.server.shell(f"echo '# edited' >> {path}; rm /etc/nginx/slipway/tls.conf")
    seen = app.observe()["site"]["files"]
    assert seen[path] != wanted[path]
    assert seen["/etc/nginx/slipway/tls.conf"] == ""
    assert sorted(app.site()["changed"]) == [path, "/etc/nginx/slipway/tls.conf"]
    assert app.observe()["site"]["files"] == wanted


def test_files_elsewhere_are_refused(app: App) -> None:
    for path in (
        "/etc/passwd",
        "/etc/nginx/nginx.conf",
        f"/etc/slipway/apps/{app.name}/../x",
        "/etc/slipway/apps/other/x",
    ):
        with pytest.raises(AgentFailed, match="is no place for a file"):
            app.server.agent("site", app.site_request({path: {"content": "", "mode": 0o644}}))


def test_changed_process_settings_restart_the_live_release_without_a_gap(app: App) -> None:
    before = app.observe()
    with app.server.visited() as visits:
        changed = app.site(threads=3, graceful_timeout=21)["changed"]
    assert len(changed) == 2
    assert visits.failures == []
    after = app.observe()
    assert (after["live"], after["serial"]) == (before["live"], before["serial"])
    assert after["slot"] != before["slot"]
    assert "stopwaitsecs=31" in app.server.shell("cat /etc/supervisor/conf.d/shared.conf")
    with app.server.visited() as visits:
        app.site()
    assert visits.failures == []


def test_an_unknown_name_gets_no_answer(app: App) -> None:
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        app.server.get(host="unknown.example")
    with socket.create_connection((app.server.address, 80), 5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n")
        assert connection.recv(100) == b""


def test_http_leads_to_https(app: App) -> None:
    connection = http.client.HTTPConnection(app.server.address, timeout=5)
    connection.request("GET", "/a?b=c")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{app.server.address}/a?b=c")
    assert "strict-transport-security" not in {name.lower() for name in app.server.get()[2]}


def test_what_a_visitor_says_of_himself_is_not_passed_on(app: App) -> None:
    spoofed = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Protocol": "http",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=1.2.3.4",
    }
    _, seen, _ = app.server.get("/request", headers=spoofed)
    assert "1.2.3.4" not in seen
    assert "evil.example" not in seen
    assert "('wsgi.url_scheme', 'https')" in seen
    assert f"('HTTP_HOST', '{app.server.address}')" in seen


def test_the_certificate_is_trusted_by_itself_and_its_key_stays_private(app: App) -> None:
    pem = app.site()["certificate"]
    assert app.server.get(ca=pem)[0] == 200
    assert app.server.shell("stat -L -c '%a %U' /etc/slipway/tls/shared/key.pem").strip() == "600 root"
    strict = ssl.create_default_context(cadata=pem)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection((app.server.address, 443), 5) as plain,
        strict.wrap_socket(plain, server_hostname=app.server.address) as secure,
    ):
        assert secure.version() == "TLSv1.3"


def test_the_certificate_follows_the_names_and_is_renewed_before_its_end(app: App) -> None:
    first = app.site()["certificate"]
    assert app.server.agent("renew", {}) == {"renewed": []}
    named = app.site(domains=["shop.example"])["certificate"]
    assert named != first
    context = ssl.create_default_context(cadata=named)
    with (
        socket.create_connection((app.server.address, 443), 5) as plain,
        context.wrap_socket(plain, server_hostname="shop.example") as secure,
    ):
        assert secure.version()
    end = app.observe()["site"]["certificate_ends"]
    with app.server.visited() as visits:
        assert app.server.agent("renew", {"as_of": end - 100 * 24 * 3600}) == {"renewed": ["shared"]}
    assert visits.failures == []
    renewed = app.server.shell("cat /etc/slipway/tls/shared/cert.pem")
    assert renewed != named
    assert app.server.get(ca=renewed)[0] == 200
    assert app.server.shell("ls -A /etc/slipway/tls | wc -l").strip() == "2"
    assert "slipway-renew.timer" in app.server.shell("systemctl list-timers --all")
    app.site()


def test_an_app_without_a_release_answers_502_until_it_has_one(app: App, fresh_id: str) -> None:
    slot = app.observe()["slot"]
    assert app.server.shell("readlink /run/slipway/shared/live").strip() == slot
    app.release(fresh_id, source("new"))
    assert app.server.text() == "new"
