"""The app whose releases are timed: Flask with SQLAlchemy and Migrate, as people have it, made anew for each run."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from bench.project import CHECKOUT, BenchError

_GUESTBOOK = CHECKOUT / "examples" / "guestbook"

_LEFT_OUT = ("babel", "flask-babel", "flask-wtf", "psycopg", "psycopg-binary", "pymysql", "pytz", "tzdata", "wtforms")

_APP = """\
import os
import time

from flask import Flask, render_template
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

import pages

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite://")
db = SQLAlchemy(app)
Migrate(app, db)


class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(200), nullable=False)


# What a larger app does between its first import and its last: work.
end = time.process_time() + {filler}
while time.process_time() < end:
    pass


@app.get("/")
def index():
    return render_template("index.html", text=pages.TEXT)
"""

_MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.String(200)))


def downgrade():
    op.drop_table("note")
"""

_MODULES = 20
_STATIC = 40


class SpeedApp:
    """Its folder, and what its pages say at present."""

    name = "speed"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = 0.0
        self._number = 0
        # What an earlier run released, which the server may still have, is not what this one will.
        self._run = secrets.token_hex(2)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "pages").mkdir(parents=True)
        (folder / "templates").mkdir()
        (folder / "static").mkdir()
        (folder / "requirements.txt").write_text(_requirements())
        shutil.copytree(
            _GUESTBOOK / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("versions", "__*")
        )
        (folder / "migrations" / "versions").mkdir()
        (folder / "migrations" / "versions" / "0001_note.py").write_text(_MIGRATION)
        (folder / "templates" / "index.html").write_text("<!doctype html><title>Speed</title><p>{{ text }}\n")
        for number in range(_STATIC):
            (folder / "static" / f"style-{number}.css").write_text(f".a{number} {{ color: #{number:06x} }}\n" * 50)
        for number in range(_MODULES):
            lines = "\n".join(f"def view_{line}():\n    return {line} + {number}\n" for line in range(30))
            (folder / "pages" / f"part_{number}.py").write_text(lines)
        imports = "".join(f"from . import part_{number}\n" for number in range(_MODULES))
        (folder / "pages" / "__init__.py").write_text(f"{imports}from .text import TEXT\n")
        self.change()
        self.fill(0.0)

    @property
    def text(self) -> str:
        """What its page says."""
        return f"version-{self._number}-{self._run}"

    def change(self) -> None:
        """A change of the code: one module says something else."""
        self._number += 1
        (self.folder / "pages" / "text.py").write_text(f'TEXT = "{self.text}"\n')

    def fill(self, seconds: float) -> None:
        """Have its import work for so many seconds besides its real imports."""
        self.filler = round(seconds, 3)
        (self.folder / "app.py").write_text(_APP.replace("{filler}", str(self.filler)))


def _requirements() -> str:
    """Those of the guestbook that it needs, with their versions."""
    lines = (_GUESTBOOK / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if re.match(r"[a-z]", line)]
    kept = [line for line in pinned if line.split("==")[0] not in _LEFT_OUT]
    if not any(line.startswith("flask-migrate==") for line in kept):
        raise BenchError("the guestbook's requirements.txt is no list of pinned versions any more")
    return "\n".join(kept) + "\n"
