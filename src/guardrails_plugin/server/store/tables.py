"""The tables. Generic on purpose: what only one product knows is the JSON body of a row of ``objects``."""

from __future__ import annotations

import sqlalchemy as sa

from guardrails_plugin.server.store.database import Utc

__all__ = ["metadata", "objects", "projects", "provider_keys", "tokens", "usage", "users"]

metadata = sa.MetaData()
_ID = sa.String(64)

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("friendly_id", sa.String(128), nullable=False, unique=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("project_id", _ID, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("email", sa.String(320), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(256), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("project_id", _ID, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("owner_id", _ID, nullable=False, index=True),
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

provider_keys = sa.Table(
    "provider_keys",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("project_id", _ID, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("owner_id", _ID, nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("preview", sa.String(64), nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("updated_at", Utc, nullable=False),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("project_id", _ID, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("owner_id", _ID, nullable=False),
    sa.Column("parent_id", _ID, nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("updated_at", Utc, nullable=False),
    sa.Index("objects_by_kind", "project_id", "kind", "id"),
    sa.Index("objects_by_parent", "parent_id"),
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("project_id", _ID, primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("amount", sa.Double, nullable=False),
)
"""Sums by hour since 1970: what statistics are made of. The subject is a user, or the token of a machine."""
