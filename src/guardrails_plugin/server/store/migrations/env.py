"""Runs the migrations on the connection that `migrate` hands over, within its transaction."""

from __future__ import annotations

from alembic import context

from guardrails_plugin.audit import sql as audit
from guardrails_plugin.server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[metadata, audit.metadata],
    transactional_ddl=True,
)
context.run_migrations()
