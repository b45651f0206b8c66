"""The thread that writes audit records: one that cannot be written is its own request's failure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from guardrails_plugin import Keyring
from guardrails_plugin.audit.sql import SqlAudit
from guardrails_plugin.server.recorder import Recorder
from guardrails_plugin.server.store import Database
from guardrails_plugin.server.store.migrate import migrate

pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Empty, of each kind."""
    made = Database(database_url)
    migrate(made)
    yield made
    made.close()


def _record(name: str, **facts: object) -> Mapping[str, Any]:
    copied = {"time": "2026-01-01T00:00:00.000+00:00", "tenant": "p", "subject": "u", "event": "api_request"}
    return {"id": name, **copied, **facts}


async def _recorded(database: Database, audit: SqlAudit, *records: Mapping[str, Any]) -> list[Any]:
    """What becomes of them: the first by itself, the others in one batch, since the log is locked meanwhile."""
    recorder = Recorder(database, audit)
    with database.write() as connection:
        audit.head(connection, lock=True)
        waiting = [asyncio.create_task(recorder.record(record)) for record in (_record("first"), *records)]
        await asyncio.sleep(0.3)
    try:
        return (await asyncio.gather(*waiting, return_exceptions=True))[1:]
    finally:
        await asyncio.to_thread(recorder.stop)


@pytest.mark.parametrize(
    "bad",
    [
        _record("bad", metadata=float("inf")),
        _record("bad", metadata=object()),
        _record("bad", tenant="p" * 65),
        _record("bad", subject="a\0b"),
        _record("bad", subject="\ud800"),
    ],
    ids=["number", "object", "length", "nul", "surrogate"],
)
def test_a_record_that_cannot_be_written_fails_alone(
    database: Database, keyring: Keyring, bad: Mapping[str, Any]
) -> None:
    audit = SqlAudit(keyring)
    one, failed, other = asyncio.run(_recorded(database, audit, _record("one"), bad, _record("other")))
    assert (one, other) == (None, None)
    with database.read() as connection:
        audit.verify(connection)
        kept = [record["id"] for record in audit.search(connection, "p")[1]]
    # SQLite takes text of any length, and NUL.
    assert isinstance(failed, Exception) or (database.kind == "sqlite" and failed is None)
    assert [name for name in reversed(kept) if name != "bad"] == ["first", "one", "other"]


def test_a_database_that_is_away_is_asked_once_for_a_batch(
    database: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = SqlAudit(keyring)
    asked: list[Sequence[object]] = []

    def away(_connection: object, records: Sequence[object]) -> None:
        asked.append(records)
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(audit, "append", away)
    answers = asyncio.run(_recorded(database, audit, _record("one"), _record("other")))
    assert [type(answer) for answer in answers] == [OperationalError, OperationalError]
    assert sum(map(len, asked)) == 3


def test_a_database_takes_a_change_or_says_that_it_does_not(database: Database, tmp_path: Path) -> None:
    assert database.commits()
    away = tmp_path / "missing" / "x.db" if database.kind == "sqlite" else "postgresql://127.0.0.1:1/x"
    gone = Database(f"sqlite:///{away}" if isinstance(away, Path) else away)
    assert not gone.commits()
    gone.close()
