"""Audit records by their id and by their trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WITH_TRACE = sa.text("trace IS NOT NULL")


def upgrade() -> None:
    """Two columns, empty for the records there are: these cannot be changed, and are found as before."""
    op.add_column("audit_records", sa.Column("id", sa.String(64)))
    op.add_column("audit_records", sa.Column("trace", sa.String(128)))
    op.create_index("audit_records_by_id", "audit_records", ["tenant", "id"])
    op.create_index(
        "audit_records_by_trace",
        "audit_records",
        ["tenant", "trace", "number"],
        sqlite_where=_WITH_TRACE,
        postgresql_where=_WITH_TRACE,
    )
