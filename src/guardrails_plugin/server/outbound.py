"""HTTP to addresses that tenants named: public ones only.

A host name is resolved here and the connection made to the very address that was judged, so that a name which
resolves differently a moment later (DNS rebinding) gains nothing; redirects pass through the same check.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from guardrails_plugin.server.addresses import public
from guardrails_plugin.server.problems import ApiError, invalid

__all__ = ["PublicTransport", "check_url", "public_client"]

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def check_url(url: str, allowed: Collection[str] = ()) -> None:
    """Refuse, before anything is kept, what could never be called.

    Args:
        url: the address.
        allowed: ``host`` or ``host:port`` the operator trusts.

    Raises:
        ApiError: 400, not https, credentials inside, or a host that is an address which is not public.
    """
    try:
        parts = httpx.URL(url)
        host, literal = parts.host, _literal(parts)
    except (httpx.InvalidURL, ValueError):  # the latter: no name, or one that is wrongly encoded
        raise invalid("base_url: not a URL.") from None
    if parts.port is not None and not 0 < parts.port <= _LAST_PORT:
        raise invalid(f"base_url: expected a port of 1 to {_LAST_PORT}.")
    if trusted(parts, allowed):
        return
    if parts.scheme != "https" or not host or parts.userinfo:
        raise invalid("base_url: expected https://host/... without credentials.")
    if literal is not None and not public(literal):
        raise invalid("base_url: the address is not public.")


def trusted(url: httpx.URL, allowed: Collection[str]) -> bool:
    """Whether the operator allows this host by name."""
    host, port = _host(url), url.port or _PORTS.get(url.scheme)
    return bool(host) and (host in allowed or f"{host}:{port}" in allowed)


_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535

_NAME = re.compile(r"(?=.{0,254}$)([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?)?")
"""A name that can be looked up, or none: RFC 1035, section 2.3.4, and the underscores of container networks."""


def _host(url: httpx.URL) -> str:
    """As it is looked up. httpx's own ``host`` is for people, and fails on what is no encoding of a name."""
    return url.raw_host.decode("ascii")


def _literal(url: httpx.URL) -> IPv4Address | IPv6Address | None:
    """The address, if the host is one and no name.

    Raises:
        ValueError: it is neither.
    """
    with suppress(ValueError):
        return ip_address(_host(url))
    if not _NAME.fullmatch(_host(url)):
        raise ValueError
    return None


class PublicTransport(httpx.AsyncHTTPTransport):
    """Connects to public addresses, and to what the operator allows.

    Args:
        allowed: ``host`` or ``host:port`` that may be anywhere.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        super().__init__(retries=0)
        self._allowed = frozenset(allowed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.

        Raises:
            ConnectError: the host is not public, or does not resolve.
        """
        host = _host(request.url)
        if trusted(request.url, self._allowed):
            return await super().handle_async_request(request)
        if request.url.scheme != "https":
            raise httpx.ConnectError("only https is allowed here", request=request)
        address = await _resolved(host, request.url.port or 443, request)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)


async def _resolved(host: str, port: int, request: httpx.Request) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter: no such name could be
        raise httpx.ConnectError("the host does not resolve", request=request) from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    # One private address among several is enough to refuse: the choice is not the tenant's.
    if not addresses or not all(public(ip_address(address)) for address in addresses):
        raise httpx.ConnectError("the host is not public", request=request)
    return addresses[0]


def public_client(allowed: Collection[str] = ()) -> httpx.AsyncClient:
    """A client that reaches public addresses only; proxies of the environment are not used."""
    return httpx.AsyncClient(transport=PublicTransport(allowed), timeout=_TIMEOUT, trust_env=False)


def provider_failed(error: Exception) -> ApiError:
    """502 that says what kind of failure, and nothing of what was sent."""
    kind = type(error).__name__
    # So the clients of all providers call a refused key.
    code = "INVALID_API_KEY" if kind.endswith("AuthenticationError") else ""
    return ApiError(502, f"The model provider could not be used ({kind}).", code=code)
