"""Static and uploaded files: what nginx sends of them, and how."""

from __future__ import annotations

import gzip
import http.client
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest

from pulumi_slipway.agent import files, nginx, paths, static_files
from pulumi_slipway.agent.errors import AgentError
from pulumi_slipway.agent.paths import AppPaths
from pulumi_slipway.app.site import SiteSpec, render_site
from tests.agent.server import App, source

SHOP = AppPaths("shop")
CSS = "body { color: black }\n" * 200
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(static_files, "brotli_is_there", lambda: False)
    SHOP.releases.mkdir(parents=True)
    return tmp_path


def release(name: str, before: str | None, **static: str) -> Path:
    """A staged release with these static files ("_" stands for "." and "__" for "/"); its folder of them."""
    place = SHOP.release(name)
    for file, text in static.items():
        path = place / "code/static" / file.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (place / "code/static").mkdir(parents=True, exist_ok=True)
    served = SHOP.release(before) / "static" if before else None
    static_files.expose(place / "code", "static", place / "static", served)
    return place / "static"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "hashed", "for_ever"),
    [
        ("css/site.0123456789ab.css", True, True),
        ("css/site.0123456789ab.css.gz", True, True),
        ("index-DiwrgTd4.js", True, True),
        ("index-DiwrgTda.js", True, False),  # may be a word
        ("main.4f2a91c0.chunk.js", True, True),
        ("4f2a91c03d5566778899.woff2", False, True),
        ("site.css", False, False),
        ("jquery-3.6.0.min.js", False, False),
        ("bootstrap-5.3.0.min.css", False, False),
        ("ui-autocomplete.js", False, False),
        ("report-20240131.pdf", True, False),
        ("facade-deadbeef.css", False, False),
        ("deadbeef/site.css", False, False),
        ("report.2024-01-31.html", True, False),
        ("a/Version2/app.js", False, False),
    ],
)
def test_names_that_hold_a_digest(name: str, hashed: bool, for_ever: bool) -> None:
    assert static_files.is_hashed(name) is hashed
    site = render_site(SiteSpec("shop", ["shop.example"], static_url="/static/"))
    text = site["/etc/nginx/sites-enabled/zz-slipway-shop.conf"].content
    rules = re.findall(rf'^    "~([^"]+)" "{re.escape(FOR_EVER)}";$', text, re.M)
    assert len(rules) == 2
    assert any(re.search(rule, f"/static/{name}") for rule in rules) is for_ever


def test_variables_of_a_site_are_its_own() -> None:
    texts = [
        render_site(SiteSpec(app, ["x.example"], static_url="/static/", media_url="/media/"))[
            f"/etc/nginx/sites-enabled/zz-slipway-{app}.conf"
        ].content
        for app in ("shop", "shop-two")
    ]
    found = [set(re.findall(r"^map \$uri (\$\w+)", text, re.M)) for text in texts]
    assert [len(one) for one in found] == [3, 3]
    assert not found[0] & found[1]


def test_what_nginx_can_send_compressed_is_in_a_snippet() -> None:
    def static(*kinds: str) -> str:
        return nginx.snippets((1, 26, 3), (3, 5), True, None, compressed=kinds)["static.conf"]

    assert static("gzip") == "gzip_static on;\n"
    assert static("gzip", "brotli") == "gzip_static on;\nbrotli_static on;\n"
    assert static().startswith("#")


# ------------------------------------------------------------------------------------------------- one release back


def test_hashed_files_of_the_release_before_stay_for_one_release(root: Path) -> None:
    one = release("r1", None, app_aaaabbbb1_css="1", site_css="1", deep__x_aaaabbbb1_js="1")
    static_files.bridge(SHOP, "r1", None)
    two = release("r2", "r1", app_aaaabbbb2_css="2", site_css="2")
    static_files.bridge(SHOP, "r2", "r1")
    assert names(one) == ["app.aaaabbbb1.css", "deep/x.aaaabbbb1.js", "site.css"]
    assert names(two) == ["app.aaaabbbb1.css", "app.aaaabbbb2.css", "deep/x.aaaabbbb1.js", "site.css"]
    assert (two / "site.css").read_text() == "2"
    three = release("r3", "r2", app_aaaabbbb3_css="3")
    static_files.bridge(SHOP, "r3", "r2")
    assert names(three) == ["app.aaaabbbb2.css", "app.aaaabbbb3.css"]
    # back again, and the same once more after an interruption
    for _ in range(2):
        static_files.bridge(SHOP, "r1", "r3")
    assert names(one) == ["app.aaaabbbb1.css", "app.aaaabbbb3.css", "deep/x.aaaabbbb1.js", "site.css"]
    static_files.bridge(SHOP, "r1", "r1")  # a restart beside itself: what serves stays as it is
    assert "app.aaaabbbb3.css" in names(one)


def test_a_release_keeps_its_own_file_and_one_without_static_files_gets_none(root: Path) -> None:
    release("r1", None, app_aaaabbbb1_css="1")
    two = release("r2", "r1", app_aaaabbbb1_css="another")
    static_files.bridge(SHOP, "r2", "r1")
    assert (two / "app.aaaabbbb1.css").read_text() == "another"
    SHOP.release("r3").mkdir()
    static_files.bridge(SHOP, "r3", "r2")
    static_files.bridge(SHOP, "r2", "r3")
    assert names(two) == ["app.aaaabbbb1.css"]
    assert not (SHOP.release("r3") / "static").exists()


def test_an_interrupted_bridge_is_mended(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release("r1", None, a_aaaabbbb1_css="1", b_aaaabbbb1_css="1")
    two = release("r2", "r1", app_aaaabbbb2_css="2")
    link = static_files.os.link

    def killed(source: Path, target: Path) -> None:
        if target.name.startswith("b."):
            raise KeyboardInterrupt
        link(source, target)

    monkeypatch.setattr(static_files.os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        static_files.bridge(SHOP, "r2", "r1")
    monkeypatch.setattr(static_files.os, "link", link)
    release("r3", None)
    static_files.bridge(SHOP, "r2", "r3")
    assert names(two) == ["app.aaaabbbb2.css"]


# ------------------------------------------------------------------------------------------------- compression


def test_text_is_compressed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = release("r1", None, site_css=CSS, small_css="a{}", photo_png="x" * 5000)
    assert names(one) == ["photo.png", "site.css", "site.css.gz", "small.css"]
    assert gzip.decompress((one / "site.css.gz").read_bytes()).decode() == CSS
    assert (one / "site.css.gz").stat().st_mtime_ns == (one / "site.css").stat().st_mtime_ns
    monkeypatch.setattr(static_files.gzip, "compress", None)
    two = release("r2", "r1", site_css=CSS)
    assert (two / "site.css.gz").samefile(one / "site.css.gz")
    with pytest.raises(TypeError):
        release("r3", "r2", site_css=CSS + "/* changed */")


def test_what_the_app_compressed_itself_stays(root: Path) -> None:
    one = release("r1", None, site_css=CSS, site_css_gz="its own")
    assert (one / "site.css.gz").read_text() == "its own"


# ------------------------------------------------------------------------------------------------- on a server


def test_nginx_sends_static_files_compressed_and_hashed_ones_for_ever(app: App, fresh_id: str) -> None:
    app.site()
    first = source("one", assets__site_dot_css=CSS) | {"assets/app.4f2a91c03d.css": CSS + "/* one */"}
    app.release(fresh_id, first, static={"url": "/static/", "folder": "assets"})
    status, _, headers = app.server.get("/static/site.css")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert "Content-Encoding" not in headers
    sent, compressed = fetch(app, "/static/app.4f2a91c03d.css")
    told = (sent["Content-Encoding"], sent["Cache-Control"], sent["Vary"])
    assert told == ("gzip", FOR_EVER, "Accept-Encoding")
    assert gzip.decompress(compressed).decode().endswith("/* one */")
    made = app.server.shell(f"stat -c %s /srv/shared/releases/{fresh_id}/static/app.4f2a91c03d.css.gz")
    assert len(compressed) == int(made)
    second = source("two") | {"assets/app.99aa91c03d.css": CSS}
    app.release(f"{fresh_id}-b", second, static={"url": "/static/", "folder": "assets"})
    seen = {
        name: app.server.get(f"/static/{name}")[0] for name in ("app.4f2a91c03d.css", "app.99aa91c03d.css", "site.css")
    }
    assert seen == {"app.4f2a91c03d.css": 200, "app.99aa91c03d.css": 200, "site.css": 404}
    assert "immutable" not in app.server.get("/static/app.0000000a.css")[2].get("Cache-Control", "")


def fetch(app: App, path: str) -> tuple[Mapping[str, str], bytes]:
    """Headers and body as they are sent to a browser, which takes gzip."""
    context = ssl._create_unverified_context()  # noqa: S323
    connection = http.client.HTTPSConnection(app.server.address, timeout=10, context=context)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        return dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_uploaded_files_come_from_nginx_and_run_nowhere(app: App, fresh_id: str) -> None:
    place = "/srv/shared/shared/media"
    app.site(media_url="/media/")
    try:
        app.release(fresh_id, source("one"), persistent=["media"], media={"url": "/media/", "folder": "media"})
        as_app = "setpriv --reuid=shared --regid=shared --clear-groups sh -c"
        app.server.shell(
            f"{as_app} 'umask 022; cd /srv/shared/live/code/media && mkdir -p deep && echo text > deep/a.txt"
            ' && echo "<script>" > page.html && cp page.html x.svg && ln -sf /etc/passwd link.txt\''
        )
        status, body, headers = app.server.get("/media/deep/a.txt")
        assert (status, body, headers["X-Content-Type-Options"]) == (200, "text\n", "nosniff")
        assert "Content-Disposition" not in headers
        for name in ("page.html", "x.svg"):
            headers = app.server.get(f"/media/{name}")[2]
            assert headers["Content-Disposition"] == "attachment"
            assert "sandbox" in headers["Content-Security-Policy"]
        assert app.server.get("/media/link.txt")[0] in (403, 404)
        assert app.server.get("/media/")[0] in (403, 404)
        assert app.server.get("/media../data/x")[1] == "one"  # the app's answer
        for other in ("nobody", "shared-build"):
            command = f"setpriv --reuid={other} --clear-groups --regid=nogroup cat {place}/deep/a.txt 2>&1 || true"
            assert "Permission denied" in app.server.shell(command)
    finally:
        app.server.shell(f"find {place} -mindepth 1 -delete")
        app.site()


def test_a_folder_that_is_given_to_nginx_is_never_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    files.give_folder_inside(tmp_path, "real/inner", 0o750, -1, -1)
    assert (tmp_path / "real/inner").stat().st_mode & 0o777 == 0o750
    for path in ("link/inner", "real/absent"):
        with pytest.raises(AgentError, match="is no folder"):
            files.give_folder_inside(tmp_path, path, 0o700, -1, -1)
    assert (tmp_path / "real/inner").stat().st_mode & 0o777 == 0o750
