"""The arguments of an app: what is found in the source, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.app.checked import check


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_defaults_come_from_the_source(app_folder: Path) -> None:
    write(app_folder, "Procfile", "web: gunicorn app:app\nrelease: flask db upgrade\n")
    app = check({"path": str(app_folder)})
    assert app.name == "guestbook"
    assert (app.recipe.target, app.recipe.kind) == ("app:app", "wsgi")
    assert app.recipe.static_folder == "static"
    assert app.recipe.release == ("flask db upgrade",)
    assert app.keep == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"domains": ["https://example.org"]}, r"domains\[0\]: 'https://example.org' is no host name"),
        ({"domains": ["example.org", "a_b.org"]}, r"domains\[1\]: 'a_b.org' is no host name"),
        ({"domains": ["10.0.0.300"]}, r"domains\[0\]"),
        ({"name": "shop-build"}, "name: 'shop-build' cannot name an app"),
        ({"name": "Guest Book"}, "name: 'Guest Book' cannot name an app"),
        ({"entry": "app"}, "entry: 'app' is no entry point"),
        ({"entry": "missing:app"}, "entry: 'missing:app' names the module missing.py, which is not in"),
        ({"kind": "cgi"}, "kind: 'cgi' is neither"),
        ({"health": {"status": 99}}, "health.status: 99 is no HTTP status"),
        ({"health": {"path": "healthz"}}, "health.path: 'healthz' must begin with /"),
        ({"keep": 1}, "keep: 1 is too small"),
        ({"drain": -1}, "drain: -1 is too small"),
        ({"static_url": "static"}, "static_url: 'static' must begin and end with /"),
        ({"static_folder": "../secrets"}, "static_folder: '../secrets' must lie within"),
        ({"persistent": ["media", "/var/lib"]}, r"persistent\[1\]: '/var/lib' must lie within"),
        ({"server": "uwsgi"}, "server: 'uwsgi' is neither gunicorn nor own"),
        ({"command": "uwsgi"}, "command: 'uwsgi' is for server: own"),
        ({"server": "own"}, "server: 'own' needs a command: the web line"),
        ({"archive_limit": 0}, "archive_limit: 0 is too small"),
    ],
)
def test_what_cannot_work_is_refused_with_key_value_and_remedy(
    app_folder: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check({"path": str(app_folder), **changes})  # type: ignore[typeddict-item]
