"""Addresses that tenants name lead to the public internet only."""

from __future__ import annotations

import ipaddress
import socket

import anyio
import httpx
import pytest

from guardrails_plugin.server.addresses import public
from guardrails_plugin.server.outbound import check_url, public_client
from guardrails_plugin.server.problems import ApiError


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "192.88.99.1", "198.18.0.1", "203.0.113.1", "168.63.129.16",
     "::1", "::", "fe80::1", "fec0::1", "fc00::1", "ff02::1", "100::1", "5f00::1", "2001:db8::1", "3fff::1",
     "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "64:ff9b::a00:1",
     "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::"],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are(address: str) -> None:
    assert public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    ["http://api.example.com/v1", "https://127.0.0.1/v1", "https://[::1]/v1", "https://u:p@api.example.com/",
     "file:///etc/passwd", "https://", "", "https://[bad", "https://169.254.169.254/latest", "https://x/\r\nA: b",
     "https://\uff11\uff12\uff17.0.0.1/", "https://xn--/", f"https://{'a' * 64}.example/",
     "https://exa mple.com/", "https://example.com:99999/", "https://example.com:0/", "https://a..b/", "https://a%2eb/",
     f"https://{'a.' * 127}example/"],
)  # fmt: skip
def test_addresses_that_could_never_be_called_are_refused_at_once(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_url(url)
    assert refused.value.status_code == 400


def test_what_the_operator_allows_passes() -> None:
    check_url("https://api.example.com/v1")
    check_url("https://b\u00fccher.example./v1")
    check_url("http://127.0.0.1:9000/v1", {"127.0.0.1:9000"})
    check_url("http://model_1/v1", {"model_1:80"})
    with pytest.raises(ApiError):
        check_url("http://127.0.0.1:9001/v1", {"127.0.0.1:9000"})


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["fe80::1%eth0"]], ids=["v4", "mixed", "v6", "zone"]
)
def test_a_name_that_resolves_to_a_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def call() -> None:
        async with public_client() as client:
            await client.get("https://api.example.com/v1")

    with pytest.raises(httpx.ConnectError, match="not public"):
        anyio.run(call)


def test_a_name_that_could_not_be_is_not_looked_up() -> None:
    async def call() -> None:
        async with public_client() as client:
            await client.get(f"https://{'a' * 64}.example/v1")

    with pytest.raises(httpx.ConnectError, match="does not resolve"):
        anyio.run(call)
