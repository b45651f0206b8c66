"""A statement rendered once for each kind of database.

SQLAlchemy looks a statement up by its whole structure each time it runs, which costs several times what SQLite takes to
run it. Every request waits for these few statements, so they go to the driver as the strings they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

__all__ = ["Prepared"]


class Prepared:
    """One statement.

    Args:
        statement: any whose parameters have names.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._rendered: dict[str, tuple[str, Sequence[str] | None]] = {}

    def __call__(self, connection: sa.Connection, *rows: Mapping[str, Any]) -> sa.CursorResult[Any]:
        """Run it, once for each row of parameters.

        Raises:
            SQLAlchemyError: the database refuses.
        """
        text, places = self._rendered.get(connection.dialect.name) or self._render(connection.dialect)
        values = [dict(row) if places is None else tuple(row[name] for name in places) for row in rows]
        if not values:
            return connection.exec_driver_sql(text)
        return connection.exec_driver_sql(text, values if len(values) > 1 else values[0])

    def _render(self, dialect: sa.Dialect) -> tuple[str, Sequence[str] | None]:
        compiled: Any = self._statement.compile(dialect=dialect)
        # Drivers take parameters by place or by name.
        rendered = str(compiled), tuple(compiled.positiontup) if compiled.positional else None
        self._rendered[dialect.name] = rendered
        return rendered
