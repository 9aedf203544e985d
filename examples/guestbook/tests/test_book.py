"""The book as visitors see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from conftest import Visitor
from guestbook import create_app, models
from guestbook.extensions import db


def test_an_empty_book_invites_to_sign(visitor: Visitor) -> None:
    answer = visitor.get()
    assert answer.status_code == 200
    assert "Nobody has signed yet" in answer.text
    assert "<code>r-7e57</code>" in answer.text


def test_a_posted_entry_is_on_the_page_after_the_redirect(visitor: Visitor) -> None:
    answer = visitor.sign("Ada", "Fair winds!", "London")
    assert answer.status_code == 303
    assert answer.location == "/"
    page = visitor.get().text
    assert "Thank you, Ada!" in page
    assert "Fair winds!" in page
    assert "from London" in page
    assert "1 entry" in page
    assert "Thank you" not in visitor.get().text


def test_what_guests_write_is_text_and_never_markup(visitor: Visitor) -> None:
    visitor.sign("<b>A</b>", "<script>alert(1)</script>", "<i>L</i>")
    page = visitor.get().text
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "from &lt;i&gt;L&lt;/i&gt;" in page


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Please tell us your name."),
        ({"name": " \u200b\t"}, "Please tell us your name."),
        ({"message": "\n \n"}, "Please write a few words."),
        ({"name": "x" * 41}, "Please use between 1 and 40 characters."),
        ({"place": "x" * 61}, "Please use at most 60 characters."),
        ({"message": "x" * 501}, "Please use between 1 and 500 characters."),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_with_a_reason(
    visitor: Visitor, fields: dict[str, str], message: str
) -> None:
    answer = visitor.sign(**{"name": "Ada", "message": "Hello", **fields})
    assert answer.status_code == 422
    assert message in answer.text
    assert "Nobody has signed yet" in visitor.get().text


def test_a_refused_entry_stays_in_the_form(visitor: Visitor) -> None:
    page = visitor.sign(name="", message="A long story").text
    assert ">\nA long story</textarea>" in page.replace("\r", "")


def test_invisible_characters_and_runs_of_space_are_tidied(app: Flask, visitor: Visitor) -> None:
    visitor.sign("A\u202eda \t  L", "one  \r\n\r\n\r\n\r\ntwo\x07")
    with app.app_context():
        entry = db.session.scalars(db.select(models.Entry)).one()
    assert entry.name == "Ada L"
    assert entry.message == "one\n\ntwo"


def test_an_entry_without_the_token_is_refused_and_not_kept(app: Flask, visitor: Visitor) -> None:
    answer = visitor.sign(csrf_token="")
    assert answer.status_code == 400
    assert "Nothing was saved" in answer.text
    with app.app_context():
        assert models.count() == 0


def test_a_token_of_another_visitor_is_refused(app: Flask, visitor: Visitor) -> None:
    assert visitor.sign(csrf_token=Visitor(app).token()).status_code == 400


def test_a_form_sent_from_another_site_is_refused(visitor: Visitor) -> None:
    data = {"name": "Ada", "message": "Hello", "csrf_token": visitor.token()}
    headers = visitor.headers | {"Referer": "https://elsewhere.example/"}
    assert visitor.client.post("/", data=data, headers=headers).status_code == 400


def test_a_very_large_form_is_refused(visitor: Visitor) -> None:
    assert visitor.sign(message="x" * 20_000).status_code == 413


def test_older_entries_are_on_further_pages(app: Flask, visitor: Visitor) -> None:
    with app.app_context():
        db.session.add_all(models.Entry(name=f"Guest {n}", message=f"entry-{n:02}") for n in range(1, 31))
        db.session.commit()
    first = visitor.get().text
    assert "30 entries" in first
    assert first.count("<article>") == 12
    assert "entry-30" in first
    assert 'href="/?before=19"' in first
    last = visitor.get("/?before=7").text
    assert last.count("<article>") == 6
    assert "Older entries" not in last
    assert "There are no older entries." in visitor.get("/?before=1").text


@pytest.mark.parametrize("path", ["/?before=0", "/?before=-4", f"/?before={10**30}", "/nothing", "/language/xx"])
def test_an_address_that_is_none_is_not_found(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_a_moment_is_told_in_words(app: Flask, visitor: Visitor) -> None:
    ages = [timedelta(0), timedelta(minutes=5), timedelta(days=2), timedelta(days=400)]
    with app.app_context():
        for age in ages:
            db.session.add(models.Entry(name="A", message="m", created=models.now() - age))
        db.session.commit()
    page = visitor.get().text
    for words in ["just now", "5 minutes ago", "2 days ago", str((models.now() - ages[-1]).year)]:
        assert words in page


def test_cookies_are_for_https_and_out_of_reach_of_scripts(visitor: Visitor) -> None:
    cookie = visitor.get().headers["Set-Cookie"]
    for part in ["guestbook=", "Secure", "HttpOnly", "SameSite=Lax"]:
        assert part in cookie


def test_pages_forbid_scripts_and_frames(visitor: Visitor) -> None:
    policy = visitor.get().headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy


def test_static_files_carry_a_digest_in_their_address(visitor: Visitor) -> None:
    page = visitor.get().text
    for name in ["guestbook.css", "harbour.svg", "icon.svg"]:
        address = page.split(f"/static/{name}", 1)[1].split('"', 1)[0]
        assert address.startswith("?v=")
        assert visitor.get(f"/static/{name}{address}").status_code == 200


def test_the_proxy_is_believed_once(app: Flask) -> None:
    @app.get("/seen")
    def seen() -> dict[str, str | None]:
        from flask import request

        return {"address": request.remote_addr, "root": request.host_url}

    headers = {"X-Forwarded-For": "198.51.100.66, 192.0.2.7", "X-Forwarded-Proto": "https"}
    answer = app.test_client().get("/seen", headers=headers | {"X-Forwarded-Host": "book.example"})
    assert answer.json == {"address": "192.0.2.7", "root": "https://book.example/"}


def test_an_error_in_the_application_is_a_page_without_details(
    app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(models, "count", lambda: 1 / 0)
    answer = visitor.get()
    assert answer.status_code == 500
    assert "We ran aground" in answer.text
    assert "ZeroDivision" not in answer.text


def test_without_a_secret_key_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    with pytest.raises(RuntimeError, match="SECRET_KEY is not set"):
        create_app()


def test_a_developer_needs_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["SECRET_KEY", "DATABASE_URL", "SLIPWAY_RELEASE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = create_app()
    assert app.config["RELEASE"] == "development"
    assert not app.config["SESSION_COOKIE_SECURE"]
    assert app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite:///")
