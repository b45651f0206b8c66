"""Sums by hour, from which statistics are made. Written with the audit record of the request that caused them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from guardrails_plugin.audit.prepared import Prepared
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.tables import usage

__all__ = ["Counts", "Usage", "add"]

_HOUR = 3600
_NAME_LENGTH: int = usage.c.name.type.length  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Counts:
    """What one request adds, by name (``filter.requests``, ``filter.pii.EMAIL_ADDRESS``, ``llm.cost``)."""

    project_id: str
    subject: str
    amounts: Mapping[str, float] = field(default_factory=dict)


class Usage:
    """Reads the sums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def totals(
        self, project_id: str, *, subject: str | None = None, prefix: str = "", hours: int | None = None
    ) -> dict[str, float]:
        """Sums by name.

        Args:
            project_id: whose.
            subject: only this user's, or this token's.
            prefix: only names that begin with it.
            hours: only the last so many hours (the running one counts as one).
        """
        column = usage.c
        query = sa.select(column.name, sa.func.sum(column.amount)).where(column.project_id == project_id)
        if subject is not None:
            query = query.where(column.subject == subject)
        if prefix:
            query = query.where(column.name.startswith(prefix, autoescape=True))
        if hours is not None:
            query = query.where(column.hour > int(time.time()) // _HOUR - hours)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(column.name).order_by(column.name)).all()
        return {str(name): float(amount) for name, amount in rows}


def add(connection: sa.Connection, counts: Iterable[Counts]) -> None:
    """Add to the sums of this hour, within a transaction."""
    hour = int(time.time()) // _HOUR
    sums: dict[tuple[str, str, str], float] = {}
    for count in counts:
        for name, amount in count.amounts.items():
            key = (count.project_id, count.subject, _kept(name))
            sums[key] = sums.get(key, 0.0) + amount
    if not sums:
        return
    # In one order everywhere, so that two processes cannot wait for each other's rows.
    rows = [
        {"project_id": project, "subject": subject, "hour": hour, "name": name, "amount": amount}
        for (project, subject, name), amount in sorted(sums.items())
    ]
    _ADD[connection.dialect.name](connection, *rows)


def _kept(name: str) -> str:
    """A name as the column takes it: entity types are part of some, and recipes may call these anything."""
    return name.replace("\0", "").encode("utf-8", "replace").decode()[:_NAME_LENGTH]


def _adding(insert: sqlite.Insert | postgresql.Insert) -> Prepared:
    index = [usage.c.project_id, usage.c.subject, usage.c.hour, usage.c.name]
    summed = {"amount": usage.c.amount + insert.excluded.amount}
    return Prepared(insert.on_conflict_do_update(index_elements=index, set_=summed))


_ADD = {"sqlite": _adding(sqlite.insert(usage)), "postgresql": _adding(postgresql.insert(usage))}
