"""One HTTP request from its first byte to its last: what is known about it, and that it is recorded.

The audit record is committed before the last byte of the response is sent: what a client has been told is on the
record, whatever happens to the process afterwards. A request that cannot be recorded is answered with 503.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Any

from fastapi import Depends
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrails_plugin.server.auth import Principal
from guardrails_plugin.server.identity import new_id
from guardrails_plugin.server.problems import ApiError, unauthorized
from guardrails_plugin.types import GuardResult, Verdict

__all__ = ["Current", "Exchange", "ExchangeMiddleware", "current_exchange"]

_log = logging.getLogger("guardrails_plugin.server")


@dataclass(slots=True)
class Exchange:
    """What is known about a request; handlers add to it, the audit record and the statistics are made of it.

    Attributes:
        id: also the audit record's, and the ``X-Request-ID`` of the response.
        principal: who asks; None on public routes.
        event: kind of the audit record (``api_request``, ``policy_created``, ...).
        verdict: the worst of its guard results; None when nothing was checked.
        findings: how often each entity type was found, by detector.
        trace: which requests it belongs to, as the client says; part of the record.
        metadata: further facts for the record; never content.
        counts: what it adds to the statistics (see `store.usage`).
        headers: for the response.
    """

    id: str = field(default_factory=new_id)
    began: float = field(default_factory=perf_counter)
    principal: Principal | None = None
    event: str = "api_request"
    trace: str = ""
    verdict: Verdict | None = None
    findings: dict[str, Counter[str]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    headers: dict[str, str] = field(default_factory=dict)
    guarding: float = 0.0
    status: int = 0

    @property
    def user(self) -> Principal:
        """Who asks, on routes that need credentials.

        Raises:
            ApiError: 401, nobody was recognised.
        """
        if self.principal is None:
            raise unauthorized()
        return self.principal

    @property
    def project_id(self) -> str:
        """The tenant."""
        return self.user.project_id

    @property
    def seconds(self) -> float:
        """Since it began."""
        return perf_counter() - self.began

    def note(self, result: GuardResult) -> None:
        """Take a guard result into the record and the statistics."""
        self.verdict = result.verdict if self.verdict is None else max(self.verdict, result.verdict)
        self.guarding += result.seconds
        self.counts["checks"] += 1
        self.counts[f"checks.{result.verdict.name.lower()}"] += 1
        for finding in result.findings:
            self.findings.setdefault(finding.detector, Counter())[finding.entity_type] += 1
            self.counts[f"findings.{finding.detector}.{finding.entity_type}"] += 1

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a statistic of this user and project."""
        self.counts[name] += amount  # type: ignore[assignment]


def current_exchange(request: Request) -> Exchange:
    """The exchange of a request."""
    exchange: Exchange = request.state.exchange
    return exchange


async def _current(request: Request) -> Exchange:
    # A coroutine, or FastAPI would run it on a thread.
    return current_exchange(request)


Current = Annotated[Exchange, Depends(_current)]
"""Parameter of a handler: ``async def handler(exchange: Current)``."""

Respond = Callable[[Request, Exception], Response]
Finish = Callable[[Exchange, Scope], Awaitable[None]]


class ExchangeMiddleware:
    """The outermost layer.

    Args:
        app: what is inside.
        respond: words an exception as a response.
        finish: records an exchange; when it fails, the response is withheld.
    """

    def __init__(self, app: ASGIApp, *, respond: Respond, finish: Finish) -> None:
        self._app = app
        self._respond = respond
        self._finish = finish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange()
        scope.setdefault("state", {})["exchange"] = exchange
        answer = _Answer(exchange, scope, send, self._finish, self._refusal(scope))
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the client gets an envelope and an id, never a stack trace
            if not isinstance(error, ApiError):
                _report(exchange, error)
            if not answer.started:
                await self._respond(Request(scope), error)(scope, receive, answer.send)
        finally:
            await answer.close()

    def _refusal(self, scope: Scope) -> Callable[[], Response]:
        return lambda: self._respond(Request(scope), ApiError(503, "The request could not be recorded; try again."))


class _Answer:
    """Holds the head of a response back until the exchange is recorded, or until its body turns out to be a stream."""

    def __init__(
        self, exchange: Exchange, scope: Scope, send: Send, finish: Finish, refusal: Callable[[], Response]
    ) -> None:
        self._exchange = exchange
        self._scope = scope
        self._send = send
        self._finish = finish
        self._refusal = refusal
        self._head: Message | None = None
        self._finished = False
        self._dead = False
        self.started = False

    async def send(self, message: Message) -> None:
        if self._dead:
            return
        if message["type"] == "http.response.start":
            self._head = message
            self._exchange.status = message["status"]
            return
        if not message.get("more_body", False) and not await self._recorded():
            return
        await self._send_head()
        await self._send(message)

    async def close(self) -> None:
        """The request is over, perhaps cut short: it is on the record all the same."""
        if not self._finished:
            self._dead = True
            try:
                await self._finish(self._exchange, self._scope)
            except Exception as error:  # noqa: BLE001 - nobody is left to tell
                _report(self._exchange, error)

    async def _send_head(self) -> None:
        if self._head is None:
            return
        head, self._head, self.started = self._head, None, True
        headers = MutableHeaders(raw=head["headers"])
        headers["X-Request-ID"] = self._exchange.id
        for name, value in self._exchange.headers.items():
            headers[name] = value
        await self._send(head)

    async def _recorded(self) -> bool:
        if self._finished:
            return True
        self._finished = True
        try:
            await self._finish(self._exchange, self._scope)
        except Exception as error:  # noqa: BLE001 - fail closed
            _report(self._exchange, error)
            self._dead = True
            if not self.started:
                await self._refusal()(self._scope, _no_body, self._send)
            return False
        return True


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _report(exchange: Exchange, error: Exception) -> None:
    """Where it happened, without the exception's message, which may quote content."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-8:])
    _log.error("request %s failed: %s\n%s", exchange.id, type(error).__name__, frames)
