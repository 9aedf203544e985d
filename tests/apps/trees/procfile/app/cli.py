import os
import time

import click

from app import db
from app.models import Job


def register(app):
    @app.cli.group()
    def translate():
        """Translation and localization commands."""

    @translate.command()
    def compile():
        """Compile all languages."""
        if os.system("pybabel compile -d app/translations"):
            raise RuntimeError("compile command failed")

    @app.cli.command()
    def work():
        """Do the jobs, one after the other, for ever."""
        while True:
            for job in db.session.scalars(db.select(Job).filter_by(result=None)):
                job.result = f"{job.name} is done"
                db.session.commit()
                click.echo(job.result)
            db.session.rollback()
            time.sleep(0.2)

    @app.cli.command()
    def tick():
        """Note that the time has come."""
        db.session.add(Job(name="tick", result="tick"))
        db.session.commit()
