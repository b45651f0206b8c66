"""How long a client may take to say what it wants: uvicorn waits for a request's head for as long as it takes.

A connection that sends nothing, or its head letter by letter, is closed; so is one whose head is larger than any real
one. Bodies have a deadline of their own (see `body`). A client that reads its answer slowly holds a connection and what
is left of the answer, no thread: against many of those, and for limits on connections, put a proxy before the service.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "PatientProtocol"]

HEAD_SECONDS = 20.0
"""From the start of a connection, or of its next request, to the end of the head."""

HEAD_BYTES = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience; see the module."""

    _deadline: asyncio.TimerHandle | None = None
    _read = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if self._deadline is None:
            return
        self._read += len(data)
        if self._read > HEAD_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        """A request's first letter."""
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """... and the end of its head."""
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._read = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, *_: Any) -> None:
        self._head_came()
        if not self.transport.is_closing():
            self.transport.close()
