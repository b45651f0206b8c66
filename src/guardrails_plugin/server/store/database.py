"""Connections and transactions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from guardrails_plugin.errors import ConfigError

if sys.platform != "win32":
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

else:

    def _lock(handle: int) -> None:
        """Nothing: writers sleep and try again."""


__all__ = ["Database", "Utc"]

_WRITE = "guardrails_write"

_CHANGE = {
    # Written whatever it was; a row with the values that it has is not.
    "sqlite": "PRAGMA user_version = 0",
    "postgresql": "UPDATE alembic_version SET version_num = version_num",
}
"""What a database writes to its disk although nothing changes."""


class Utc(sa.TypeDecorator[datetime]):
    """Aware datetimes on both databases; SQLite keeps no time zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC."""
        return value.astimezone(timezone.utc) if value else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """From UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class Database:
    """One database; thread-safe.

    Args:
        url: ``sqlite:///file.db`` or ``postgresql://user:password@host/name``.
        shared: several processes write to it all the time; on SQLite they then wait in line. A process alone is faster
            without: the line costs it a sixth of its requests.

    Raises:
        ConfigError: another kind of database, or a driver that is not installed.
    """

    def __init__(self, url: str, *, shared: bool = False) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigError("database URL: expected sqlite:///file.db or postgresql://...") from None
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise ConfigError(f"database URL: {kind!r} is not supported; expected sqlite or postgresql")
        if kind == "sqlite" and not _is_file(parsed):
            raise ConfigError("database URL: expected sqlite:///file.db: one in memory is another for each connection")
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 10} if kind == "postgresql" else {}
        try:
            self.engine = sa.create_engine(parsed, **options)
        except ModuleNotFoundError as error:
            raise ConfigError(f"database URL: needs {error.name}: pip install 'guardrails-plugin[postgres]'") from None
        if kind == "sqlite":
            event.listen(self.engine, "connect", _configure)
            event.listen(self.engine, "begin", _begin)
        else:
            event.listen(self.engine, "connect", _in_utc)
        self._turns = f"{parsed.database}-turn" if shared and kind == "sqlite" and _is_file(parsed) else ""
        self._writing = self.engine.execution_options(**{_WRITE: True})

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for queries."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction, committed at the end; on SQLite it is the only one that writes."""
        with self._turn(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Holds a lock of the system's from before SQLite's own is asked for until it is given back.

        Who finds SQLite locked sleeps and tries again, up to a tenth of a second at a time, while others overtake; who
        waits here is woken at once. The system ends the lock with the process that holds it, however that ends.
        """
        if not self._turns:
            yield
            return
        handle = os.open(self._turns, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)

    def ping(self) -> float:
        """Seconds that a query takes.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        began = perf_counter()
        with self.read() as connection:
            connection.execute(sa.text("SELECT 1"))
        return perf_counter() - began

    def commits(self) -> bool:
        """Whether something can be written: a change that changes nothing is committed."""
        try:
            with self.write() as connection:
                connection.exec_driver_sql(_CHANGE[self.kind])
        except (SQLAlchemyError, OSError):
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _is_file(url: sa.URL) -> bool:
    return bool(url.database) and url.database != ":memory:" and not str(url.database).startswith("file:")


def _configure(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin: the driver's own rules would begin them too late for a write lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _in_utc(connection: Any, _record: object) -> None:
    # In the zone of a server east of here the last hours of the year 9999 are in the next, which Python cannot hold.
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
