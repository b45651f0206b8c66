"""The formats of threat-intelligence feeds, told apart line by line.

Reads plain URLs (OpenPhish), domains, IP addresses, ranges and CIDR, hosts files, URLhaus and ThreatFox CSV, Spamhaus
DROP (text and JSON lines), ad-block lines ``||domain^$options``, dnsmasq and unbound settings, STIX 2.1 bundles and
patterns; defanged entries too; UTF-8, or UTF-16 with a byte order mark.

Source: STIX 2.1, 4.7 (revoked, valid_until) and 9 (patterns); hosts(5), dnsmasq(8), unbound.conf(5).
Limits: of a STIX pattern every value that must or may be equal counts, whatever ``AND`` and ``FOLLOWEDBY`` say.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any, Literal

from guardrails_plugin.detectors.url_parts import normal_host, parse, refang

__all__ = ["Entry", "Listed", "read_file", "read_line"]

Listed = Literal["url", "domain", "ip"]
"""What an entry names."""

Entry = tuple[Listed, str]
"""What is listed, and its form for comparison: ``host/path?query``, a host, a network."""

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:xn--[a-z0-9-]{2,59}|[a-z]{2,63})")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{3,45}(?:/\d{1,3})?")
_STRING = r"'(?:[^'\\]|\\.)*'"
_STIX = re.compile(
    rf"(?:domain-name|url|ipv4-addr|ipv6-addr):value\s*"
    rf"(?:(?:=|ISSUBSET|LIKE)\s*({_STRING})|IN\s*\(\s*({_STRING}(?:\s*,\s*{_STRING})*)\s*\))",
    re.IGNORECASE,
)
_STIX_STRING = re.compile(_STRING)
_STIX_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_AD_BLOCK = re.compile(r"\|\|([^\^$|\s]+)")
_DNSMASQ = re.compile(r"(?:address|server|local)=/([^\s#]+)/")
_UNBOUND = re.compile(r"local-(?:zone:\s*\"([^\"\s]+)\"\s+(?!transparent|typetransparent)\w|data:\s*\"(\S+)\s)")
_LOCAL = frozenset(
    "localhost localhost.localdomain localhost4 localhost4.localdomain4 localhost6 localhost6.localdomain6 local "
    "broadcasthost ip6-localhost ip6-loopback ip6-localnet ip6-mcastprefix ip6-allnodes ip6-allrouters "
    "ip6-allhosts".split()
)
_JSON_KEYS = ("ioc", "ioc_value", "url", "cidr", "domain", "host", "ip", "indicator", "value")
_HEAD = 4096
"""Characters that tell one JSON value from lines."""


def read_file(path: Path) -> Iterator[Entry | None]:
    """The entries of a file; None for a line that is none.

    Raises:
        OSError: it cannot be read.
    """
    with path.open(encoding=_encoding(path), errors="replace") as file:
        head = file.read(_HEAD)
        file.seek(0)
        if _is_document(head):
            yield from _document(file.read())
            return
        for line in file:
            yield from read_line(line)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _is_document(head: str) -> bool:
    """True for one JSON value over the whole file, unlike one a line."""
    first, _, _ = head.lstrip().partition("\n")
    if not first.startswith(("{", "[")) or _STIX.search(first[:200]):
        return False
    if first.startswith("[") or '"bundle"' in head:
        return True
    try:
        json.loads(first)
    except ValueError:
        return True
    return False


def _document(content: str) -> Iterator[Entry | None]:
    try:
        yield from _from_json(json.loads(content))
    except (ValueError, RecursionError):
        yield None


def read_line(line: str) -> Iterator[Entry | None]:
    """The entries of one line of any text format; None for a line that is none; nothing for blanks and comments."""
    line = line.strip()
    if _DOMAIN.fullmatch(line):  # nearly all lines of the large lists
        yield "domain", line
        return
    if not line or line.startswith(("#", ";", "!", "//", "@@")):  # "@@": what an ad-block list lets through
        return
    if line.startswith("{"):
        yield from _json_line(line)
    elif values := list(_stix_values(line)):
        yield from map(_entry, values)
    elif names := list(_set_names(line)):
        yield from map(_entry, names)
    elif "," in line and (line.startswith('"') or line.count(",") > 1) and "://" not in line.partition(",")[0]:
        yield _first(_csv_fields(line))
    else:
        yield from _words(line)


def _set_names(line: str) -> Iterator[str]:
    """The names in a line of an ad-block list or of a resolver's settings."""
    if found := _AD_BLOCK.match(line):
        yield found[1]
    elif found := _DNSMASQ.match(line):
        yield from found[1].split("/")
    elif found := _UNBOUND.match(line):
        yield found[1] or found[2]


def _words(line: str) -> Iterator[Entry | None]:
    words = line.partition(" ;")[0].partition(" #")[0].split()
    if len(words) > 1 and _points_nowhere(words[0]):  # a hosts file
        named = (word for word in words[1:] if word.lower() not in _LOCAL and not _points_nowhere(word))
        yield from map(_entry, named)
        return
    first, dash, last = words[0].partition("-") if len(words) == 1 else (words[0], "", words[-1])
    if (dash or len(words) in (2, 3)) and (spread := _spread(first, last)):
        yield from spread
    elif ";" in words[0] and "://" not in words[0]:
        yield _first(words[0].split(";"))
    else:
        yield _entry(words[0].rstrip(";,"))


def _points_nowhere(word: str) -> bool:
    """True for the addresses that hosts files give to names which must not be reached, and to their own machine."""
    try:
        ip = ip_address(word.partition("%")[0])
    except ValueError:
        return False
    return ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved


def _spread(first: str, last: str) -> list[Entry] | None:
    """The networks of ``first - last``."""
    try:
        return [("ip", str(network)) for network in summarize_address_range(ip_address(first), ip_address(last))]
    except (ValueError, TypeError):
        return None


def _json_line(line: str) -> Iterator[Entry | None]:
    try:
        yield from _from_json(json.loads(line))
    except (ValueError, RecursionError):
        yield None


def _from_json(value: Any) -> Iterator[Entry | None]:
    """Entries of JSON of any shape: STIX indicators, objects with a field of a known name, lists of strings."""
    if isinstance(value, str):
        yield _entry(value)
    elif isinstance(value, list):
        for item in value:
            yield from _from_json(item)
    elif isinstance(value, dict):
        if isinstance(pattern := value.get("pattern"), str):
            yield from map(_entry, () if _over(value) else _stix_values(pattern))
            return
        if key := next((key for key in _JSON_KEYS if isinstance(value.get(key), str)), None):
            yield _entry(value[key])
            return
        for item in value.values():
            if isinstance(item, (list, dict)):
                yield from _from_json(item)


def _over(indicator: dict[str, Any]) -> bool:
    """True for an indicator that was taken back or whose time is up."""
    until = indicator.get("valid_until")
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    # STIX writes every time in UTC, so that the seconds compare as text.
    over = isinstance(until, str) and _STIX_TIME.match(until) is not None and until[: len(now)] <= now
    return indicator.get("revoked") is True or over


def _stix_values(pattern: str) -> Iterator[str]:
    for found in _STIX.finditer(pattern):
        for string in _STIX_STRING.findall(found[1] or found[2]):
            yield re.sub(r"\\(.)", r"\1", string[1:-1])


def _csv_fields(line: str) -> list[str]:
    """The fields of a line, those with a URL first."""
    try:
        fields = [item.strip() for item in next(csv.reader([line], skipinitialspace=True))]
    except (csv.Error, StopIteration):
        return []
    return [item for item in fields if "://" in item] + fields


def _first(fields: list[str]) -> Entry | None:
    return next((entry for item in fields if (entry := _entry(item))), None)


def _entry(word: str) -> Entry | None:
    """One URL, domain, address or network."""
    word = refang(word.strip().strip("\"'"))
    if "://" in word:
        parts = parse(word)
        if parts is None or not (parts.ip or _DOMAIN.fullmatch(parts.host)):
            return None
        return "url", parts.key + (f"?{parts.query}" if parts.query else "")
    if _ADDRESS.fullmatch(word) and (network := _network(word)):
        return "ip", network
    host, slash, path = word.partition("/")
    host = normal_host(host.removeprefix("*.").removeprefix("."))
    name, _, port = host.partition(":")
    if port.isdigit() and (network := _network(name)):
        return "ip", network
    if not _DOMAIN.fullmatch(name) or (port and not port.isdigit()):
        return None
    return ("url", f"{host}/{path}") if slash and path else ("domain", name)


def _network(word: str) -> str | None:
    try:
        return str(ip_network(word, strict=False))
    except ValueError:
        return None
