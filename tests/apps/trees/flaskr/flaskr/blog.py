from flask import Blueprint, redirect, render_template, request, url_for

from flaskr.db import get_db

bp = Blueprint("blog", __name__)


@bp.route("/")
def index():
    posts = get_db().execute("SELECT body FROM post ORDER BY id DESC").fetchall()
    return render_template("index.html", posts=posts)


@bp.route("/create", methods=("POST",))
def create():
    db = get_db()
    db.execute("INSERT INTO post (body) VALUES (?)", (request.form["body"],))
    db.commit()
    return redirect(url_for("blog.index"))
