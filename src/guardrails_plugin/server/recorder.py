"""Writes audit records and statistics, many requests in one transaction.

Requests that end at about the same time share one commit (group commit), so that waiting for the disk costs little
and a single thread of each process competes for the end of the chain.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from guardrails_plugin.audit.sql import SqlAudit
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.usage import Counts, add

__all__ = ["Recorder"]

_TOGETHER = 256
"""Requests in one commit at most."""


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
        while True:
            batch, ends = self._batch()
            if batch:
                self._commit(batch)
            if ends:
                return

    def _batch(self) -> tuple[list[_Entry], bool]:
        entry = self._entries.get()
        batch: list[_Entry] = []
        while entry is not None:
            batch.append(entry)
            if len(batch) == _TOGETHER:
                return batch, False
            try:
                entry = self._entries.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[_Entry]) -> None:
        failure = self._written(batch)
        # A record that cannot be written fails its own request only; a database that is away fails them all.
        if failure is not None and len(batch) > 1 and not isinstance(failure, (InterfaceError, OperationalError)):
            for entry in batch:
                self._commit([entry])
            return
        for loop in {entry.loop for entry in batch}:
            loop.call_soon_threadsafe(_resolve, [entry.done for entry in batch if entry.loop is loop], failure)

    def _written(self, batch: Sequence[_Entry]) -> Exception | None:
        """What stood in the way; None when it is committed."""
        try:
            with self._database.write() as connection:
                self._audit.append(connection, [entry.record for entry in batch])
                add(connection, [entry.counts for entry in batch if entry.counts is not None])
        except Exception as error:  # noqa: BLE001 - each waiting request is told
            return error
        return None


def _resolve(futures: Sequence[asyncio.Future[None]], failure: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
