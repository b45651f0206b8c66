"""HTTP to addresses that tenants named: public ones only.

A host name is resolved here and the connection made to the very address that was judged, so that a name which
resolves differently a moment later (DNS rebinding) gains nothing; redirects pass through the same check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

import httpx

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
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise invalid("base_url: not a URL.") from None
    if trusted(host, port, allowed):
        return
    if parts.scheme != "https" or not host or parts.username or parts.password:
        raise invalid("base_url: expected https://host/... without credentials.")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return
    if not public(literal):
        raise invalid("base_url: the address is not public.")


def trusted(host: str, port: int | None, allowed: Collection[str]) -> bool:
    """Whether the operator allows this host by name."""
    return bool(host) and (host in allowed or f"{host}:{port}" in allowed)


def public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is reachable from the internet at large; looks through IPv6 forms of IPv4 addresses."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


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
        host, port = request.url.host, request.url.port
        if trusted(host, port, self._allowed):
            return await super().handle_async_request(request)
        if request.url.scheme != "https":
            raise httpx.ConnectError("only https is allowed here", request=request)
        address = await _resolved(host, port or 443, request)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)


async def _resolved(host: str, port: int, request: httpx.Request) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise httpx.ConnectError("the host does not resolve", request=request) from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    # One private address among several is enough to refuse: the choice is not the tenant's.
    if not addresses or not all(public(ipaddress.ip_address(address)) for address in addresses):
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
