"""How large a request may be, and which numbers it may hold."""

from __future__ import annotations

import json
import re
from math import isfinite

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrails_plugin.server.problems import ApiError, invalid

__all__ = ["BodyLimit"]


class BodyLimit:
    """Refuses bodies that are announced or turn out to be too large, before anything reads them whole.

    Also JSON with numbers that are not finite (``1e999``, ``NaN``): Python reads them, but no answer and no record
    could repeat them.

    Args:
        app: what is inside.
        limit: bytes.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._limit:
            raise self._too_large()
        body = bytearray()

        async def counted() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            if len(body) > self._limit:
                raise self._too_large()
            if not message.get("more_body", False) and _SUSPECT.search(body):
                _check_numbers(bytes(body))
                body.clear()
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"The body is larger than {self._limit} bytes.", headers={"Connection": "close"})


_SUSPECT = re.compile(rb"\x00|NaN|Infinity|[0-9.][eE]\+?[0-9]{3}|[0-9]{200}")
"""Without one of these no number of JSON is out of range (the largest has 309 digits): most bodies are read once
(those in UTF-16 hold zeros)."""


class _NotFiniteError(Exception):
    pass


def _check_numbers(body: bytes) -> None:
    try:
        json.loads(body, parse_float=_finite, parse_constant=_finite)
    except _NotFiniteError:
        raise invalid("The body holds a number that is not finite, or too large to be kept.") from None
    except (ValueError, RecursionError):
        return  # not JSON; the route says what it expected


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise _NotFiniteError
    return value
