"""Scanners in a table of a database, for many processes: SQLite or PostgreSQL, through SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes.recipe import explain
from guardrails_plugin.scanners.model import Scanner

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["SqlStore"]

_TABLE = "guardrails_scanners"


class SqlStore:
    """Scanners in the table ``guardrails_scanners``, which is made when it is not there. Safe in many threads.

    Args:
        url: ``sqlite:///file.db`` or ``postgresql://user:password@host/name``.

    Raises:
        ConfigError: another kind of database, one that cannot be reached, or SQLAlchemy or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy as sa
            from sqlalchemy.exc import SQLAlchemyError

            self._engine = sa.create_engine(_with_driver(url), pool_pre_ping=True)
        except ModuleNotFoundError as error:
            extra = "postgres" if error.name == "psycopg" else "server"
            raise ConfigError(
                f"scanners: SqlStore needs {error.name}: pip install 'guardrails-plugin[{extra}]'"
            ) from None
        self._table = sa.Table(
            _TABLE,
            sa.MetaData(),
            sa.Column("id", sa.String(128), primary_key=True),
            sa.Column("content", sa.Text, nullable=False),
        )
        try:
            with self._engine.begin() as connection:
                self._create(connection)
        except SQLAlchemyError as error:
            raise ConfigError(f"scanners: the database cannot be used: {type(error).__name__}") from None

    def all(self) -> Mapping[str, Scanner]:
        """See `Store`.

        Raises:
            ConfigError: a row holds something else; the message names its id.
        """
        with self._engine.connect() as connection:
            rows = connection.execute(self._table.select().order_by(self._table.c.id)).all()
        return {row.id: _scanner(row.id, row.content) for row in rows}

    def put(self, scanner: Scanner, /) -> None:
        """See `Store`."""
        content = json.dumps(scanner.model_dump(mode="json"), ensure_ascii=False)
        added: Any = self._insert()
        replaced = added.on_conflict_do_update(index_elements=["id"], set_={"content": added.excluded.content})
        with self._engine.begin() as connection:
            connection.execute(replaced, {"id": scanner.id, "content": content})

    def remove(self, scanner_id: str, /) -> None:
        """See `Store`."""
        with self._engine.begin() as connection:
            connection.execute(self._table.delete().where(self._table.c.id == scanner_id))

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _create(self, connection: sa.Connection) -> None:
        from sqlalchemy.schema import CreateTable

        if self._engine.dialect.name == "postgresql":
            # Processes that start together would both find no table.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('guardrails_scanners'))")
        connection.execute(CreateTable(self._table, if_not_exists=True))

    def _insert(self) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        return (postgresql if self._engine.dialect.name == "postgresql" else sqlite).insert(self._table)


def _with_driver(url: str) -> sa.URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("scanners: SqlStore: expected sqlite:///file.db or postgresql://...") from None
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise ConfigError(f"scanners: SqlStore: {kind!r} is not supported; expected sqlite or postgresql")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _scanner(scanner_id: str, content: str) -> Scanner:
    try:
        return Scanner.model_validate_json(content)
    except ValidationError as error:
        raise explain(error, f"{_TABLE}: {scanner_id!r}") from None
