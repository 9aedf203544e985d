import os

from flask import Blueprint, current_app, redirect, render_template, request

from app import db
from app.models import Job

bp = Blueprint("main", __name__)


@bp.route("/", methods=["GET", "POST"])
def index():
    if request.method == "POST":
        db.session.add(Job(name=request.form["name"]))
        db.session.commit()
        return redirect("/")
    jobs = db.session.scalars(db.select(Job).order_by(Job.id)).all()
    return render_template("index.html", jobs=jobs, debug=current_app.debug, parent=os.getppid())
