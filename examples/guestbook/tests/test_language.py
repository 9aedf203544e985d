"""German beside English, by what the browser asks for and by the switch."""

from __future__ import annotations

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask import Flask

from conftest import CATALOGS, Visitor


def test_the_browser_language_is_honoured(app: Flask) -> None:
    answer = Visitor(app, "de-AT,de;q=0.9,en;q=0.5").get()
    assert '<html lang="de">' in answer.text
    assert "Trag dich ein" in answer.text
    assert answer.headers["Content-Language"] == "de"
    assert {"Accept-Language", "Cookie"} <= {part.strip() for part in answer.headers["Vary"].split(",")}


def test_a_language_we_do_not_have_gives_english(app: Flask) -> None:
    assert '<html lang="en">' in Visitor(app, "fr").get().text


def test_the_switch_wins_over_the_browser_and_is_kept(visitor: Visitor) -> None:
    answer = visitor.get("/language/de")
    assert answer.status_code == 303
    assert "Expires=" in answer.headers["Set-Cookie"]
    assert "Trag dich ein" in visitor.get().text
    visitor.get("/language/en")
    assert "Sign the book" in visitor.get().text


def test_messages_after_sending_are_translated(app: Flask) -> None:
    visitor = Visitor(app, "de")
    assert "Bitte nenne deinen Namen." in visitor.sign(name="").text
    assert "Bitte zwischen 1 und 500 Zeichen." in visitor.sign(message="x" * 501).text
    visitor.sign("Ada", place="Köln")
    page = visitor.get().text
    assert "Danke, Ada!" in page
    assert "aus Köln" in page
    assert "1 Eintrag" in page
    assert "noch einmal senden" in visitor.sign(csrf_token="").text


def test_every_text_of_the_application_is_translated() -> None:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    found = extract_from_dir(CATALOGS.parent, methods, keywords={"_": None, "_l": None, "ngettext": (1, 2)})
    texts = {text[0] if isinstance(text, tuple) else text for _, _, text, _, _ in found}
    with (CATALOGS / "de" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale="de")
    assert len(texts) > 30
    for text in texts:
        message = catalog.get(text)
        assert message is not None, f"not in the catalogue: {text}"
        assert all(message.string if isinstance(message.string, tuple) else [message.string]), text
        assert not list(message.check()), text
