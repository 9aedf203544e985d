"""Entries: where from

The default lives in the database as well: while this release takes over, the one before it
still writes entries and knows nothing of the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("entry") as table:
        table.add_column(sa.Column("place", sa.String(length=60), nullable=False, server_default=""))


def downgrade():
    with op.batch_alter_table("entry") as table:
        table.drop_column("place")
