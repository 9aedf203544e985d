"""What a visitor sees when something is wrong, and the headers that keep pages harmless."""

from __future__ import annotations

from flask import Flask, Response, render_template
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

# Everything comes from this site, no script at all, no frame around it.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def explain(code: int) -> tuple[str, str]:
    """The title and the message of the page for an HTTP error."""
    if code == 404:
        return _("There is nothing here"), _("The page you are looking for is not in this book.")
    if code == 413:
        return _("That was too much"), _("An entry is a few lines long, not more.")
    if code < 500:
        return _("That did not work"), _("Your browser asked for something we do not have.")
    return _("We ran aground"), _("This is our fault, not yours. Please try again in a moment.")


def init_app(app: Flask) -> None:
    """Register the error pages and the headers."""

    @app.errorhandler(CSRFError)
    def expired(_error: CSRFError) -> tuple[str, int]:
        title = _("Please send it again")
        message = _("The form was open too long, or cookies are off. Nothing was saved: please try again.")
        return render_template("error.html", title=title, message=message), 400

    @app.errorhandler(HTTPException)
    def wrong(error: HTTPException) -> tuple[str, int] | HTTPException:
        code = error.code or 500
        if code < 400:
            return error
        title, message = explain(code)
        return render_template("error.html", title=title, message=message), code

    @app.after_request
    def harmless(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response
