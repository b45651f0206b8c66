"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from guardrails_plugin.audit.chain import GENESIS
from guardrails_plugin.audit.sql import create_triggers
from guardrails_plugin.server.store.database import Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.String(64)


def _project() -> sa.Column[str]:
    return sa.Column("project_id", _ID, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Projects, users, credentials, provider keys, documents, sums, audit."""
    op.create_table(
        "projects",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("friendly_id", sa.String(128), nullable=False, unique=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("id", _ID, primary_key=True),
        _project(),
        sa.Column("email", sa.String(320), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
    )
    op.create_index("ix_users_project_id", "users", ["project_id"])
    op.create_table(
        "tokens",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        _project(),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("preview", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("per_minute", sa.Integer),
        sa.Column("per_hour", sa.Integer),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("expires_at", Utc),
    )
    op.create_table(
        "provider_keys",
        sa.Column("id", _ID, primary_key=True),
        _project(),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("preview", sa.String(64), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
    )
    for table in ("tokens", "provider_keys"):
        op.create_index(f"ix_{table}_project_id", table, ["project_id"])
        op.create_index(f"ix_{table}_owner_id", table, ["owner_id"])
    op.create_table(
        "objects",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        _project(),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("parent_id", _ID, nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
    )
    op.create_index("objects_by_kind", "objects", ["project_id", "kind", "id"])
    op.create_index("objects_by_parent", "objects", ["parent_id"])
    op.create_table(
        "usage",
        sa.Column("project_id", _ID, primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("amount", sa.Double, nullable=False),
    )
    op.create_table(
        "audit_records",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    op.create_index("audit_records_by_tenant", "audit_records", ["tenant", "number"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "mac": GENESIS}])
    create_triggers(op.get_bind())
