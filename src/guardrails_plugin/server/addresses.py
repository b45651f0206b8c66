"""Which network addresses are public."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = ["public"]

_SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            # https://www.iana.org/assignments/iana-ipv4-special-registry, all of it: what of it is reachable serves no
            # API.
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
            # https://www.iana.org/assignments/multicast-addresses
            "224.0.0.0/4",
            # The host of an Azure machine:
            # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
            "168.63.129.16/32",
        ),
    )
)

_UNICAST = IPv6Network("2000::/3")
"""All that is given to networks: https://www.iana.org/assignments/ipv6-address-space. Outside are the private, local
and multicast addresses, and the forms of IPv4 addresses."""

_SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        # The part of https://www.iana.org/assignments/iana-ipv6-special-registry that is in 2000::/3.
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
"""How networks without IPv4 reach it (RFC 6052)."""


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is reachable from the internet at large.

    >>> public(IPv4Address("8.8.8.8")), public(IPv6Address("64:ff9b::10.0.0.1"))
    (True, False)
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
    if inner is not None:
        return public(inner)
    return address in _UNICAST and not any(address in network for network in _SPECIAL_IPV6)
