"""Scanners in plain words: the project's own model is the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.detectors.judge import Judge
from guardrails_plugin.errors import GuardError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.identity import now
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.calypso.models import Provider, ask, default_provider
from guardrails_plugin.server.routers.calypso.settings import Setup
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import NO_CONTEXT, Origin

__all__ = ["Judged", "judged"]

_LEAST = 0.5
"""Probability from which a judgement counts."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model made of a content. With an error, nothing is known about it."""

    found: bool
    error: str | None
    tokens: int | None
    started: datetime
    completed: datetime


async def judged(
    services: Services, exchange: Exchange, setup: Setup, *, definition: str, content: Any, origin: Origin
) -> Judged:
    """Ask the project's default model whether a content fits a definition in plain words.

    A model that is missing, fails or answers something else gives an error, never a pass.
    """
    started = now()
    try:
        provider = await asyncio.to_thread(default_provider, services, exchange.project_id, setup)
    except ApiError as error:
        return _nothing_known(f"No judge: {error.detail}", started)
    if provider.type == "echo":
        reason = "No judge: the default provider is 'echo', which repeats what it is sent and cannot judge."
        return _nothing_known(reason, started)
    model = _Asker(services, exchange, provider, asyncio.get_running_loop())
    try:
        judge = Judge(model, definition)
        texts = [normalize(segment, index) for index, segment in enumerate(conversation.segments(content, origin))]
        findings = await asyncio.to_thread(judge.detect, texts, NO_CONTEXT)
    except GuardError as error:
        return _nothing_known(f"The judge failed: {error}.", started, model.tokens)
    found = any(finding.score >= _LEAST for of_text in findings for finding in of_text)
    return Judged(found=found, error=None, tokens=model.tokens, started=started, completed=now())


def _nothing_known(error: str, started: datetime, tokens: int | None = None) -> Judged:
    return Judged(found=False, error=error, tokens=tokens, started=started, completed=now())


class _Asker:
    """The project's model as a judge wants it: asked from a worker thread, answered by the service's own loop."""

    def __init__(
        self, services: Services, exchange: Exchange, provider: Provider, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._services = services
        self._exchange = exchange
        self._provider = provider
        self._loop = loop
        self.tokens = 0

    def invoke(self, messages: list[Mapping[str, Any]], /) -> str:
        """The answer's text."""
        asking = ask(self._services, self._exchange, self._provider, messages, temperature=0.0)
        answer = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        self.tokens += answer.tokens
        return answer.text
