"""The arguments of an app: what is found in the source, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulumi_slipway.app.arguments import check
from pulumi_slipway.app.detect import DetectionError, Entry, find_entry


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("app.py", "app = Flask(__name__)", Entry("app:app", "wsgi")),
        ("wsgi.py", "application = get_wsgi_application()", Entry("wsgi:application", "wsgi")),
        ("site/asgi.py", "application = get_asgi_application()", Entry("site.asgi:application", "asgi")),
        ("main.py", "app: FastAPI = FastAPI()", Entry("main:app", "asgi")),
        ("shop/__init__.py", "def create_app():\n    return Flask('x')", Entry("shop:create_app()", "wsgi")),
        ("blog.py", "from shop import create_app\napp = create_app()", Entry("blog:app", "wsgi")),
    ],
)
def test_the_entry_point_is_found_in_the_source(tmp_path: Path, file: str, source: str, expected: Entry) -> None:
    if "/" in file:
        write(tmp_path, f"{file.split('/')[0]}/__init__.py", "")
    write(tmp_path, file, source)
    assert find_entry(tmp_path) == expected


def test_an_app_without_an_entry_point_is_told_where_it_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "tasks.py", "print('hello')")
    with pytest.raises(DetectionError, match=r"no entry point found in .* \(looked for .* in tasks.py\); set entry"):
        find_entry(tmp_path)


def test_defaults_come_from_the_source(app_folder: Path) -> None:
    write(app_folder, "Procfile", "web: gunicorn app:app\nrelease: flask db upgrade\n")
    app = check({"path": str(app_folder)})
    assert app.name == "guestbook"
    assert app.entry == Entry("app:app", "wsgi")
    assert app.static_folder == "static"
    assert app.release == ("flask db upgrade",)
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
        ({"archive_limit": 0}, "archive_limit: 0 is too small"),
    ],
)
def test_what_cannot_work_is_refused_with_key_value_and_remedy(
    app_folder: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check({"path": str(app_folder), **changes})  # type: ignore[typeddict-item]
