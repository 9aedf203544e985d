"""Which language a page is in: the one chosen with the switch, else the one the browser asks for."""

from __future__ import annotations

from flask import Flask, Response, request, session
from flask_babel import get_locale

LANGUAGES = {"en": "English", "de": "Deutsch"}


def choose() -> str:
    """The language of this request."""
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or "en"


def init_app(app: Flask) -> None:
    """Tell templates the languages, and caches what a page depends on."""

    @app.context_processor
    def _() -> dict[str, object]:
        return {"languages": LANGUAGES, "language": get_locale().language}

    @app.after_request
    def _(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.vary.update(["Accept-Language", "Cookie"])
            response.content_language.add(get_locale().language)
        return response
