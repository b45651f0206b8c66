"""Writes audit records and statistics, many requests in one transaction.

Requests that end at about the same time share one commit (group commit), so that waiting for the disk costs little
and a single thread of each process competes for the end of the chain.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from guardrails_plugin.audit.sql import SqlAudit
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.usage import Counts, add

__all__ = ["Recorder"]

_TOGETHER = 256
"""Requests in one commit at most."""

_FAILING_SECONDS = 10.0
"""After a commit that failed: without requests nobody would find out that the next one does not."""


@dataclass(frozen=True, slots=True)
class _Entry:
    record: Mapping[str, Any]
    counts: Counts | None
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class Recorder:
    """One writing thread, which begins with the first record and ends with `stop`."""

    def __init__(self, database: Database, audit: SqlAudit) -> None:
        self._database = database
        self._audit = audit
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last commit failed, a few seconds ago, for want of a database."""
        return self._failed is not None and time.monotonic() - self._failed < _FAILING_SECONDS

    def stop(self) -> None:
        """Write what is waiting, then end."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._entries.put(None)
            thread.join()

    async def record(self, record: Mapping[str, Any], counts: Counts | None = None) -> None:
        """Write one record; returns when it is committed.

        Raises:
            SQLAlchemyError: it is not: the database does not answer, or does not take this record.
            ValueError: it cannot be written as JSON.
        """
        self._start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._entries.put(_Entry(record, counts, done, loop))
        # Shielded: a client that goes away does not take its record along.
        await asyncio.shield(done)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        entry = self._entries.get()
        while entry is not None:
            entry = self._commit_with(entry)

    def _commit_with(self, first: _Entry) -> _Entry | None:
        """Commit what is waiting, and give what to go on with; None to end."""
        batch = [first]
        ends = False
        failure: Exception | None = None
        try:
            with self._database.write() as connection:
                # Only now: while another process had its turn, more requests ended.
                ends = self._fill(batch)
                self._append(connection, batch)
        except Exception as error:  # noqa: BLE001 - each waiting request is told
            failure = error
        # A record that cannot be written fails its own request only; a database that is away fails them all.
        away = isinstance(failure, (InterfaceError, OperationalError, OSError))
        self._failed = time.monotonic() if away else None
        if failure is None or len(batch) == 1 or away:
            _tell(batch, failure)
        else:
            for entry in batch:
                _tell([entry], self._written(entry))
        return None if ends else self._entries.get()

    def _fill(self, batch: list[_Entry]) -> bool:
        """Take what is waiting; whether the end is among it."""
        while len(batch) < _TOGETHER:
            try:
                entry = self._entries.get_nowait()
            except queue.Empty:
                return False
            if entry is None:
                return True
            batch.append(entry)
        return False

    def _append(self, connection: Connection, batch: Sequence[_Entry]) -> None:
        self._audit.append(connection, [entry.record for entry in batch])
        add(connection, [entry.counts for entry in batch if entry.counts is not None])

    def _written(self, entry: _Entry) -> Exception | None:
        """What stood in the way; None when it is committed."""
        try:
            with self._database.write() as connection:
                self._append(connection, [entry])
        except Exception as error:  # noqa: BLE001 - as above
            return error
        return None


def _tell(batch: Sequence[_Entry], failure: Exception | None) -> None:
    for loop in {entry.loop for entry in batch}:
        loop.call_soon_threadsafe(_resolve, [entry.done for entry in batch if entry.loop is loop], failure)


def _resolve(futures: Sequence[asyncio.Future[None]], failure: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
