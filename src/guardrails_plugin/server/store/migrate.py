"""Brings a database to the tables of this version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from guardrails_plugin.server.store.database import Database

__all__ = ["is_current", "migrate", "migrate_to"]

_LOCK = 7_216_954_031
"""Number of the PostgreSQL advisory lock that one migrating process holds; SQLite's write lock needs no number."""


def migrate(database: Database) -> None:
    """Run what is missing, in one transaction; other processes that try at the same time wait, then find it done."""
    with database.write() as connection:
        if database.kind == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        migrate_to(connection, "head")


def migrate_to(connection: sa.Connection, revision: str) -> None:
    """Run what is missing up to a revision, within the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_current(database: Database) -> bool:
    """Whether the tables are those of this version."""
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "guardrails_plugin:server/store/migrations")
    return config
