"""Audit records in a database: append-only, chained, ordered across threads and processes.

Triggers refuse changes, which stops accidents; the chain (see `chain`) shows what somebody with the database file did.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from guardrails_plugin.audit.chain import GENESIS, canonical, link
from guardrails_plugin.audit.prepared import Prepared
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError, GuardError

__all__ = ["Broken", "Head", "SqlAudit", "create_triggers", "head_table", "metadata", "records_table", "stamp"]

metadata = sa.MetaData()

records_table = sa.Table(
    "audit_records",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time", sa.String(32), nullable=False),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("key_id", sa.String(32), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("mac", sa.String(64), nullable=False),
    sa.Column("id", sa.String(64)),
    sa.Column("trace", sa.String(128)),
    sa.Index("audit_records_by_tenant", "tenant", "number"),
    sa.Index("audit_records_by_id", "tenant", "id"),
    sa.Index(
        "audit_records_by_trace",
        "tenant",
        "trace",
        "number",
        sqlite_where=sa.text("trace IS NOT NULL"),
        postgresql_where=sa.text("trace IS NOT NULL"),
    ),
)
"""``body`` is what the code covers; time, tenant, subject, event, id and trace are copies of parts of it, to search by.

Records of earlier versions, whose bodies have no ``trace``, have no copy of their id either.
"""

head_table = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("mac", sa.String(64), nullable=False),
)
"""One row: the end of the chain. Writers lock it, so that records come one after the other."""

_HEAD = sa.select(head_table.c.number, head_table.c.mac)
_read_head = Prepared(_HEAD)
_lock_head = Prepared(_HEAD.with_for_update())
_move_head = Prepared(head_table.update().values(number=sa.bindparam("number"), mac=sa.bindparam("mac")))
_add_record = Prepared(records_table.insert())

_COPIES = ("time", "tenant", "subject", "event")
_BATCH = 1000
_TRACED = "trace"
"""Which requests belong together, as their client says; "" for those of which it says nothing."""


def stamp(moment: datetime) -> str:
    """How records write times: UTC, ISO 8601, milliseconds; sorts as text."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log: how many records there are, and the code of the last."""

    number: int
    mac: str

    def __str__(self) -> str:
        return f"{self.number}:{self.mac}"


class Broken(GuardError):  # noqa: N818 - reads as what it says
    """The log is not what was written.

    Attributes:
        number: the first record that is wrong.
    """

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        super().__init__(f"record {number}: {why}")


class SqlAudit:
    """Appends, searches and verifies.

    Args:
        keyring: its primary key seals new records; old ones need the key they were sealed with.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def append(self, connection: sa.Connection, records: Sequence[Mapping[str, Any]]) -> Head:
        """Add records at the end, within the caller's transaction.

        Args:
            connection: in a transaction that may write (on SQLite: begun as ``IMMEDIATE``).
            records: JSON objects with at least ``time``, ``tenant``, ``subject`` and ``event``.
        """
        head = self.head(connection, lock=True)
        key_id = self._keyring.primary
        rows = []
        for record in records:
            body = canonical(record)
            number = head.number + 1
            head = Head(number, link(self._keyring, key_id, head.mac, number, body))
            copies = {name: str(record[name]) for name in _COPIES}
            found_by = {"id": record.get("id"), "trace": record.get(_TRACED) or None}
            rows.append({"number": number, "key_id": key_id, "body": body, "mac": head.mac, **copies, **found_by})
        if rows:
            _add_record(connection, *rows)
            _move_head(connection, {"number": head.number, "mac": head.mac})
        return head

    def head(self, connection: sa.Connection, *, lock: bool = False) -> Head:
        """The end of the log."""
        row = (_lock_head if lock else _read_head)(connection).first()
        if row is None:
            raise Broken(0, "the row with the end of the log is gone")
        return Head(int(row.number), str(row.mac))

    def search(
        self,
        connection: sa.Connection,
        tenant: str,
        *,
        subject: str | None = None,
        event: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[int, list[dict[str, Any]]]:
        """A tenant's records, newest first.

        Args:
            connection: to read with.
            tenant: whose.
            subject: only this user's, or this token's.
            event: only of this kind.
            start: not before.
            end: before.
            limit: how many at most.
            offset: how many to leave out.

        Returns:
            How many there are in all, and those asked for.
        """
        column = records_table.c
        where = [column.tenant == tenant]
        where += [] if subject is None else [column.subject == subject]
        where += [] if event is None else [column.event == event]
        where += [] if start is None else [column.time >= stamp(start)]
        where += [] if end is None else [column.time < stamp(end)]
        total = connection.execute(sa.select(sa.func.count()).select_from(records_table).where(*where)).scalar_one()
        query = sa.select(column.body).where(*where).order_by(column.number.desc()).limit(limit).offset(offset)
        return int(total), [json.loads(body) for body in connection.execute(query).scalars()]

    def find(
        self, connection: sa.Connection, tenant: str, record_id: str, *, subject: str | None = None
    ) -> dict[str, Any] | None:
        """One record of a tenant, by its id; None when it has none such, or another subject (if given) has it."""
        column = records_table.c
        where = [column.tenant == tenant, column.id == record_id]
        where += [] if subject is None else [column.subject == subject]
        body = connection.execute(sa.select(column.body).where(*where)).scalar()
        return None if body is None else dict(json.loads(body))

    def traces(
        self, connection: sa.Connection, tenant: str, *, subject: str | None = None, limit: int = 50, offset: int = 0
    ) -> list[str]:
        """The traces of a tenant (and subject, if given), those with the newest records first."""
        column = records_table.c
        where = [column.tenant == tenant, column.trace.is_not(None)]
        where += [] if subject is None else [column.subject == subject]
        newest = sa.func.max(column.number)
        query = sa.select(column.trace).where(*where).group_by(column.trace).order_by(newest.desc())
        return [str(trace) for trace in connection.execute(query.limit(limit).offset(offset)).scalars()]

    def traced(
        self,
        connection: sa.Connection,
        tenant: str,
        traces: Sequence[str],
        *,
        subject: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        """The newest records of some traces, in order; see `traces`."""
        column = records_table.c
        where = [column.tenant == tenant, column.trace.in_(traces)]
        where += [] if subject is None else [column.subject == subject]
        query = sa.select(column.body).where(*where).order_by(column.number.desc()).limit(limit)
        return [json.loads(body) for body in connection.execute(query).scalars()][::-1]

    def records(self, connection: sa.Connection) -> Iterator[tuple[Head, dict[str, Any]]]:
        """Every record in order, each checked before it is given.

        Raises:
            Broken: at the first record that was changed, moved, added or removed.
        """
        head = self.head(connection)
        last = Head(0, GENESIS)
        while last.number < head.number:
            query = sa.select(records_table).where(records_table.c.number > last.number)
            rows = connection.execute(query.order_by(records_table.c.number).limit(_BATCH)).all()
            if not rows:
                raise Broken(last.number + 1, f"missing; the log should have {head.number} records")
            for row in rows:
                record = self._checked(row, last)
                last = Head(row.number, row.mac)
                yield last, record
        # A snapshot may hold no more than its head says, but a writer may have added some since on READ COMMITTED.
        if last.number == head.number and last.mac != head.mac:
            raise Broken(last.number, "is not the one the end of the log names")

    def verify(self, connection: sa.Connection, *, expected: Head | None = None) -> Head:
        """Check the whole log.

        Args:
            connection: to read with.
            expected: a head noted earlier, which must still be part of the log.

        Returns:
            Its end, to be noted.

        Raises:
            Broken: it is not what was written.
        """
        last = Head(0, GENESIS)
        seen = expected is None or expected == last
        for last, _ in self.records(connection):
            seen = seen or last == expected
        if not seen and expected is not None:
            raise Broken(expected.number, "is not the one noted earlier, or is gone")
        return last

    def _checked(self, row: sa.Row[Any], last: Head) -> dict[str, Any]:
        if row.number != last.number + 1:
            raise Broken(last.number + 1, "missing")
        try:
            code = link(self._keyring, row.key_id, last.mac, row.number, row.body)
        except ConfigError:
            raise Broken(row.number, f"sealed with key {row.key_id!r}, which the keyring does not hold") from None
        if not hmac.compare_digest(code, row.mac):
            raise Broken(row.number, "was changed, or does not belong here")
        record: dict[str, Any] = json.loads(row.body)
        if any(str(record.get(name)) != getattr(row, name) for name in _COPIES):
            raise Broken(row.number, "the columns to search by differ from the record")
        if _TRACED in record and (row.id, row.trace or "") != (record.get("id"), record[_TRACED]):
            raise Broken(row.number, "the columns to search by differ from the record")
        return record


def create_triggers(connection: sa.Connection) -> None:
    """Refuse changes and deletions of records, on either database."""
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER audit_records_no_{verb.lower()} BEFORE {verb} ON audit_records "
                "BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END"
            )
        return
    connection.exec_driver_sql(
        "CREATE FUNCTION audit_records_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit records are append-only'; END $$"
    )
    connection.exec_driver_sql(
        "CREATE TRIGGER audit_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_records_refuse()"
    )
