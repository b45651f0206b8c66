"""Whether the parts of the service work, each tried, but not for everyone who asks.

Anybody may ask, as often as they like: a trial is for all who ask within two seconds, and there is never more than one
of a kind on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.limits import Limiter
from guardrails_plugin.server.llm import LlmProxy
from guardrails_plugin.server.recorder import Recorder
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.migrate import is_current

__all__ = ["Health", "Trial"]

_REMEMBERED_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0
"""A part that takes longer does not work; SQLite waits 15 seconds for a lock before it says so."""


class Trial:
    """Whether something works, found out at most once every two seconds.

    Args:
        attempt: finds out; that it fails means no.
    """

    def __init__(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        self._attempt = attempt
        self._running: asyncio.Task[bool] | None = None
        self._answer, self._until = False, 0.0

    async def __call__(self) -> bool:
        """The answer of a moment ago, or a new one; no, when that takes too long."""
        if time.monotonic() < self._until:
            return self._answer
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._made())
        try:
            # Shielded: who loses patience does not end the trial, and the next one waits for the same.
            return await asyncio.wait_for(asyncio.shield(self._running), _PATIENCE_SECONDS)
        except asyncio.TimeoutError:
            return False

    async def _made(self) -> bool:
        try:
            self._answer = await self._attempt()
        except Exception:  # noqa: BLE001 - whatever the reason, it does not work
            self._answer = False
        self._until = time.monotonic() + _REMEMBERED_SECONDS
        return self._answer


class Health:
    """The parts of a running service.

    Attributes:
        tables: they are those of this version.
        counters: requests can be counted.
    """

    def __init__(
        self, database: Database, recorder: Recorder, limiter: Limiter, guard: Guarding, llm: LlmProxy
    ) -> None:
        self._recorder = recorder
        self._guard = guard
        self._llm = llm
        self._commits = Trial(lambda: asyncio.to_thread(database.commits))
        self._engine = Trial(guard.works)
        self.tables = Trial(lambda: asyncio.to_thread(is_current, database))
        self.counters = Trial(limiter.answers)

    async def database(self) -> bool:
        """Whether records can be committed. A disk that is nearly full may take a small one and no other."""
        return not self._recorder.is_failing and await self._commits()

    @property
    def recipes(self) -> bool:
        """Whether the recipes are compiled."""
        return self._guard.is_warm

    @property
    def provider(self) -> bool:
        """Whether the operator's provider, if any, can be asked without importing its client first."""
        return self._llm.is_warm

    async def engine(self) -> bool:
        """Whether it finds what it must find. Asked before the recipes are compiled, it would wait for them."""
        return self.recipes and await self._engine()
