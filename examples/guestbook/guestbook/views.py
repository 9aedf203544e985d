"""The pages: the book, and the language switch."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import format_date, format_timedelta
from flask_babel import gettext as _
from werkzeug import Response

from guestbook import models
from guestbook.extensions import db
from guestbook.forms import EntryForm
from guestbook.languages import LANGUAGES

pages = Blueprint("pages", __name__)


@pages.app_template_filter("ago")
def ago(moment: datetime) -> str:
    """A moment in the words of the page's language: "2 hours ago", and a date after a week."""
    age = models.now() - moment
    if age < timedelta(minutes=1):
        return _("just now")
    if age < timedelta(days=7):
        return format_timedelta(-age, add_direction=True)
    return format_date(moment, "long")


@pages.get("/")
def book() -> str:
    """The newest entries, or those before the entry ``?before=``, with the form."""
    return render_book(EntryForm(formdata=None))


@pages.post("/")
def sign() -> tuple[str, int] | Response:
    """Write an entry, then show the book by a new request, so that reloading does not write it twice."""
    form = EntryForm()
    if not form.validate():
        return render_book(form), 422
    entry = models.Entry(name=form.name.data, place=form.place.data, message=form.message.data)
    db.session.add(entry)
    db.session.commit()
    flash(_("Thank you, %(name)s! Your entry is in the book.", name=entry.name))
    return redirect(url_for("pages.book"), 303)


@pages.get("/language/<code>")
def language(code: str) -> Response:
    """Keep the chosen language in the session."""
    if code not in LANGUAGES:
        abort(404)
    session["language"] = code
    session.permanent = True
    return redirect(url_for("pages.book"), 303)


def render_book(form: EntryForm) -> str:
    """The page with the form in the given state."""
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 2**31:
        abort(404)
    entries, more = models.latest(current_app.config["ENTRIES_PER_PAGE"], before)
    return render_template("book.html", form=form, entries=entries, more=more, before=before, total=models.count())
