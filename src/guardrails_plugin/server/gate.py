"""The door: every path asks for credentials, except those on an explicit list; every caller has limits.

It stands before routing, so a new route is closed until somebody lists it, and before a body is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from guardrails_plugin.server.auth import Authenticator, Principal
from guardrails_plugin.server.exchange import Exchange, current_exchange
from guardrails_plugin.server.limits import Allowance, Limiter
from guardrails_plugin.server.problems import ApiError, forbidden, unauthorized
from guardrails_plugin.server.settings import Settings

__all__ = ["Gate", "address", "check_limits"]

_PUBLIC_PER_MINUTE = 120
"""Requests of one address to public routes, which cost work but name nobody."""

_FAILURES_PER_MINUTE = 30
"""Wrong credentials from one address."""


class Gate:
    """Recognises the caller and counts the request.

    Args:
        app: what is inside.
        authenticator: knows the credentials.
        limiter: counts.
        settings: the default limits.
        public: exact paths that need no credentials.
        unlimited: exact paths among them that are not counted (health).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        limiter: Limiter,
        settings: Settings,
        public: Collection[str],
        unlimited: Collection[str],
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limiter = limiter
        self._settings = settings
        self._public = frozenset(public)
        self._unlimited = frozenset(unlimited)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"] not in self._unlimited:
            exchange = current_exchange(Request(scope))
            if scope["path"] in self._public:
                await self._count(exchange, f"public:{address(scope)}", _PUBLIC_PER_MINUTE, 0)
            else:
                await self._admit(exchange, scope)
        elif scope["type"] == "websocket":
            await self._refuse(scope, send)
            return
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        """Close a WebSocket before it is open, which servers answer with 403: no route has any."""
        with suppress(ApiError):  # counters out of reach
            await self._failed(scope)
        await send({"type": "websocket.close", "code": 1008})

    async def _admit(self, exchange: Exchange, scope: Scope) -> None:
        credential = _bearer(Headers(scope=scope).get("authorization", ""))
        principal = self._authenticator.remembered(credential) if credential else None
        if principal is None and credential:
            principal = await asyncio.to_thread(self._authenticator.recognise, credential)
        if principal is None:
            _take(exchange, await self._failed(scope))
            code = "INVALID_API_KEY" if credential.startswith("rmp_") else "INVALID_TOKEN"
            exchange.event = "authentication_failed"
            raise unauthorized(code=code)
        exchange.principal = principal
        if not principal.scopes:
            raise forbidden("These credentials have no scope.")
        per_minute = self._settings.per_minute if principal.per_minute is None else principal.per_minute
        per_hour = self._settings.per_hour if principal.per_hour is None else principal.per_hour
        own = principal.per_minute is not None or principal.per_hour is not None
        key = f"token:{principal.token_id}" if own else f"subject:{principal.project_id}:{principal.subject}"
        await self._count(exchange, key, per_minute, per_hour)

    async def _count(self, exchange: Exchange, key: str, per_minute: int, per_hour: int) -> None:
        _take(exchange, await self._limiter.hit(key, per_minute=per_minute, per_hour=per_hour))

    async def _failed(self, scope: Scope) -> Allowance | None:
        return await self._limiter.hit(f"failed:{address(scope)}", per_minute=_FAILURES_PER_MINUTE)


def _take(exchange: Exchange, allowance: Allowance | None) -> None:
    """Tell the caller where it stands.

    Raises:
        ApiError: 429, beyond its limit.
    """
    if allowance is None:
        return
    exchange.headers.update(allowance.headers)
    if not allowance.allowed:
        raise ApiError(429, f"More than {allowance.limit} requests; try again later.")


def check_limits(user: Principal, settings: Settings, *, per_minute: int | None, per_hour: int | None) -> None:
    """Refuse to let a new credential ask more often than the operator lets those without limits of their own.

    Args:
        user: who makes it; an administrator may.
        settings: the operator's limits.
        per_minute: its own; 0 for none, None for the operator's.
        per_hour: likewise.

    Raises:
        ApiError: 403, more than that.
    """
    for window, wanted, most in (("minute", per_minute, settings.per_minute), ("hour", per_hour, settings.per_hour)):
        if wanted is not None and most and not user.is_admin and not 0 < wanted <= most:
            asked = f"{wanted} requests" if wanted else "No limit on requests"
            raise forbidden(f"{asked} per {window}: only an administrator gives more than the service's {most}.")


def address(scope: Scope) -> str:
    """The caller's network address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
