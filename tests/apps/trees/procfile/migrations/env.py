from alembic import context
from flask import current_app

target = current_app.extensions["migrate"]
engine = target.db.engine

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=target.db.metadata)
    with context.begin_transaction():
        context.run_migrations()
