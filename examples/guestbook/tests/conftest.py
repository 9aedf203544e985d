"""An application with a database of its own, brought up by the migrations as on a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from guestbook import create_app
from guestbook.extensions import db

CATALOGS = Path(__file__).parent.parent / "guestbook" / "translations"


@pytest.fixture(scope="session")
def translations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled translations, as the build step of a release makes them."""
    folder = tmp_path_factory.mktemp("translations")
    for source in CATALOGS.glob("*/LC_MESSAGES/messages.po"):
        target = folder / source.relative_to(CATALOGS).with_suffix(".mo")
        target.parent.mkdir(parents=True)
        with source.open("rb") as po, target.open("wb") as mo:
            write_mo(mo, read_po(po, locale=source.parts[-3]))
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "guestbook.db"


@pytest.fixture
def bare_app(database: Path, translations: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application before its first migration."""
    monkeypatch.setenv("SECRET_KEY", "a key for tests")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.setenv("SLIPWAY_RELEASE", "r-7e57")
    app = create_app({"TESTING": True, "BABEL_TRANSLATION_DIRECTORIES": str(translations)})
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(bare_app: Flask) -> Flask:
    with bare_app.app_context():
        upgrade()
    return bare_app


class Visitor:
    """Somebody with a browser, behind the proxy that ends TLS."""

    def __init__(self, app: Flask, language: str = "en") -> None:
        self.client: FlaskClient = app.test_client()
        self.headers = {
            "Accept-Language": language,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "book.example",
            "X-Forwarded-For": "192.0.2.7",
        }

    def get(self, path: str = "/"):
        return self.client.get(path, headers=self.headers)

    def token(self) -> str:
        found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', self.get().text)
        assert found, "the form has no token"
        return found[1]

    def sign(self, name: str = "Ada", message: str = "Fair winds!", place: str = "", **fields: str):
        data = {"name": name, "message": message, "place": place, "csrf_token": self.token(), **fields}
        headers = self.headers | {"Referer": "https://book.example/"}
        return self.client.post("/", data=data, headers=headers)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)
