"""How Alembic reaches the application's database: run by ``flask db ...``."""

from logging.config import fileConfig

from alembic import context
from flask import current_app

if context.config.config_file_name:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

settings = current_app.extensions["migrate"]
metadata = settings.db.metadata


def print_statements() -> None:
    """``flask db upgrade --sql``: write the statements instead of running them."""
    url = settings.db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=metadata, literal_binds=True, **settings.configure_args)
    with context.begin_transaction():
        context.run_migrations()


def run_statements() -> None:
    """Bring the database to the wanted revision, in one transaction where the database can."""
    with settings.db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, **settings.configure_args)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    print_statements()
else:
    run_statements()
