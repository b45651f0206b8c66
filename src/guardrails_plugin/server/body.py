"""How large a request may be, how long it may take to arrive, and what its JSON may hold."""

from __future__ import annotations

import json
import re
from math import isfinite

from anyio import current_time, fail_after
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardrails_plugin.server.problems import ApiError, invalid

__all__ = ["DEPTH", "SECONDS", "BodyLimit"]

SECONDS = 30.0
"""Within which a body is there, whole: who sends it letter by letter holds a connection, and the place of others."""

DEPTH = 128
"""Arrays and objects within each other; more than any content that is checked (see `conversation.MAX_DEPTH`)."""


class BodyLimit:
    """Refuses bodies that are announced or turn out to be too large, before anything reads them whole, and late ones.

    Also JSON that Python reads, but that no answer and no record could repeat: numbers that are not finite (``1e999``,
    ``NaN``), half surrogate pairs, arrays and objects deeper than `DEPTH`.

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
        until = current_time() + SECONDS
        whole = False

        async def counted() -> Message:
            nonlocal whole
            if whole:  # what is awaited now is the client's leaving
                return await receive()
            try:
                with fail_after(until - current_time()):
                    message = await receive()
            except TimeoutError:
                raise self._too_late() from None
            body.extend(message.get("body", b""))
            if len(body) > self._limit:
                raise self._too_large()
            if not message.get("more_body", False):
                whole = True
                _check(bytes(body))
                body.clear()
            return message

        await self._app(scope, counted, send)

    def _too_late(self) -> ApiError:
        return ApiError(408, f"The body was not there within {SECONDS:g} s.", headers={"Connection": "close"})

    def _too_large(self) -> ApiError:
        return ApiError(413, f"The body is larger than {self._limit} bytes.", headers={"Connection": "close"})


_SUSPECTS = tuple(
    map(
        re.compile,
        (
            rb"NaN|Infinity",
            rb"[0-9](?:[eE]\+?[0-9]{3}|[0-9]{199})",
            # The first half of a pair without a second after it, or a second without a first before it: what stands
            # behind two backslashes is no half, so it vouches for none; either half in UTF-8.
            rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])",
            rb"\\\\u[dD]",
            rb"\xed[\xa0-\xbf]",
        ),
    )
)
"""Without one of these all numbers are in range (the largest has 309 digits) and all text is Unicode: most bodies are
read once. Searched for one by one, since together they would be tried at every byte."""

_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*"?', re.DOTALL)
"""Up to the end of the body where nothing closes it, so that it is searched but once."""

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class _NotFiniteError(Exception):
    pass


def _check(body: bytes) -> None:
    """Refuse what could not be repeated; what is no JSON is left to the route, which says what it expected.

    Raises:
        ApiError: 400.
    """
    try:
        if b"\0" in body:  # UTF-16 or UTF-32, which JSON may be in, too
            body = body.decode(json.detect_encoding(body), "surrogatepass").encode("utf-8", "surrogatepass")
        if body.count(b"[") + body.count(b"{") > DEPTH:
            _check_depth(_STRING.sub(b"", body).translate(None, _NO_BRACKETS))
        if any(suspect.search(body) for suspect in _SUSPECTS):
            # Written again, for that is what fails.
            json.dumps(json.loads(body, parse_float=_finite, parse_constant=_finite), ensure_ascii=False).encode()
    except _NotFiniteError:
        raise invalid("The body holds a number that is not finite, or too large to be kept.") from None
    except UnicodeEncodeError:
        raise invalid("The body holds half a surrogate pair, which is not Unicode text.") from None
    except ValueError:
        return


def _check_depth(brackets: bytes) -> None:
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            raise invalid(f"The body holds arrays and objects more than {DEPTH} deep.")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise _NotFiniteError
    return value
