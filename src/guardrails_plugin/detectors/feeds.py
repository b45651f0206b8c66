"""Threat-intelligence feeds that users plug in: hosts, URLs and address ranges, looked up in about a microsecond.

Reads, told apart line by line: plain URLs (OpenPhish), domains, IP addresses, ranges and CIDR, hosts files, URLhaus
and ThreatFox CSV, Spamhaus DROP (text and JSON lines), ad-block lines ``||domain^``, STIX 2.1 bundles and patterns;
defanged entries too. No feed ships with the package.

How: a sorted array of 64-bit BLAKE2b hashes of normalised ``host`` and ``host/path`` (8 bytes an entry) and sorted
address ranges, both searched by bisection, behind a bit field of checksums (2 to 4 bytes an entry). A listed host
covers its subdomains; a listed URL is that URL only, with or without its query. A changed file is loaded again,
within `RELOAD_SECONDS`, and swapped in at once.
Limits: a false hit by hash collision has odds of about 1 in 10^13 a lookup at 500,000 entries; a feed that vanishes
or cannot be read while running keeps its last good content.
"""

from __future__ import annotations

import csv
import json
import re
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np

from guardrails_plugin.detectors.url_parts import IP, Parts, normal_host, parse, refang
from guardrails_plugin.errors import ConfigError

__all__ = ["RELOAD_SECONDS", "FeedIndex", "Feeds", "Listed", "read_line"]

RELOAD_SECONDS = 5.0
"""How long a changed file may go unnoticed."""

Listed = Literal["url", "domain", "ip"]
"""What an entry names."""

_Entry = tuple[Listed, str]

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:xn--[a-z0-9-]{2,59}|[a-z]{2,63})")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{3,45}(?:/\d{1,3})?")
_STIX = re.compile(
    r"(domain-name|url|ipv4-addr|ipv6-addr):value\s*(?:=|ISSUBSET|LIKE)\s*'((?:[^'\\]|\\.)*)'", re.IGNORECASE
)
_SINK = ("0.0.0.0", "127.0.0.1", "::", "::1", "255.255.255.255")  # noqa: S104 - what hosts files point names at
_LOCAL = frozenset(
    "localhost localhost.localdomain local broadcasthost ip6-localhost ip6-loopback ip6-localnet ip6-mcastprefix "
    "ip6-allnodes ip6-allrouters ip6-allhosts".split()
)
_JSON_KEYS = ("ioc", "ioc_value", "url", "cidr", "domain", "host", "ip", "indicator", "value")


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class FeedIndex:
    """Everything the feeds list, in a few megabytes.

    Attributes:
        size: entries, each counted once.
        skipped: lines that were neither an entry nor a comment.
    """

    hashes: memoryview = field(repr=False)
    filter: bytes = field(repr=False)
    """A bit for each checksum that some entry has: settles nearly every miss without a hash."""
    starts: tuple[list[int], list[int]] = field(repr=False)
    ends: tuple[list[int], list[int]] = field(repr=False)
    size: int
    skipped: int

    @staticmethod
    def build(entries: Iterable[_Entry | None]) -> FeedIndex:
        """The index of entries; None stands for a line that was none."""
        hashes, checksums, skipped = array("Q"), array("I"), 0
        ranges: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for entry in entries:
            if entry is None:
                skipped += 1
            elif entry[0] == "ip":
                network = ip_network(entry[1], strict=False)
                ranges[isinstance(network, IPv6Network)].append((int(network[0]), int(network[-1])))
            else:
                key = entry[1].encode("utf-8", "replace")
                hashes.append(_hash(key))
                checksums.append(crc32(key))
        unique = np.unique(np.frombuffer(hashes, np.uint64))
        merged = [_merged(found) for found in ranges]
        starts = tuple([start for start, _ in found] for found in merged)
        ends = tuple([end for _, end in found] for found in merged)
        size = len(unique) + sum(map(len, merged))
        bits = _filter(np.frombuffer(checksums, np.uint32), len(unique))
        return FeedIndex(memoryview(unique.data), bits, (starts[0], starts[1]), (ends[0], ends[1]), size, skipped)

    def _has(self, key: bytes) -> bool:
        """True when this very ``host`` or ``host/path`` is listed."""
        bit = crc32(key) % (8 * len(self.filter))
        if not self.filter[bit >> 3] >> (bit & 7) & 1:
            return False
        value = _hash(key)
        at = bisect_left(self.hashes, value)
        return at < len(self.hashes) and self.hashes[at] == value

    def host(self, host: str) -> bool:
        """True when a normalised host or a domain above it is listed."""
        key = host.encode("utf-8", "replace") if self.hashes else b""
        while b"." in key:
            if self._has(key):
                return True
            key = key.partition(b".")[2]
        return False

    def url(self, parts: Parts) -> bool:
        """True when this URL is listed, with or without its query."""
        if not self.hashes:
            return False
        key = parts.key.encode("utf-8", "replace")
        return self._has(key) or bool(parts.query and self._has(key + b"?" + parts.query.encode("utf-8", "replace")))

    def ip(self, address: IP) -> bool:
        """True when an address lies in a listed range."""
        six = isinstance(address, IPv6Address)
        at = bisect_right(self.starts[six], int(address)) - 1
        return at >= 0 and int(address) <= self.ends[six][at]


def _filter(checksums: Any, size: int) -> bytes:
    """Sixteen bits an entry, so that one miss in sixteen, at most, needs a hash."""
    marks = np.zeros(1 << max(6, (16 * size).bit_length()), bool)
    marks[checksums % len(marks)] = True
    return np.packbits(marks, bitorder="little").tobytes()


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class Feeds:
    """Feed files, loaded once and again when they change. Safe in many threads.

    Args:
        paths: the files, in any of the formats above.
        reload_seconds: how often the files' time and size are looked at.

    Raises:
        ConfigError: a file is missing or cannot be read; the message names it.
    """

    def __init__(self, paths: Sequence[Path], reload_seconds: float = RELOAD_SECONDS) -> None:
        self._paths = tuple(paths)
        self._wait = reload_seconds
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._index = self._load()
        self._checked = time.monotonic()

    @property
    def index(self) -> FeedIndex:
        """The current content."""
        if self._paths and time.monotonic() - self._checked >= self._wait and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._index

    def _refresh(self) -> None:
        try:
            seen = self._signature()
            if seen != self._seen:
                self._index, self._seen = self._load(), seen
        except ConfigError:
            pass  # replaced this very moment, or gone: the last good content stays
        finally:
            self._checked = time.monotonic()

    def _signature(self) -> tuple[tuple[int, int], ...]:
        try:
            return tuple((status.st_mtime_ns, status.st_size) for status in (path.stat() for path in self._paths))
        except OSError as error:
            raise _unreadable(error) from None

    def _load(self) -> FeedIndex:
        try:
            return FeedIndex.build(entry for path in self._paths for entry in _read(path))
        except OSError as error:
            raise _unreadable(error) from None


def _unreadable(error: OSError) -> ConfigError:
    return ConfigError(f"malicious_url: feeds: cannot read {error.filename}: {error.strerror or type(error).__name__}")


def _read(path: Path) -> Iterator[_Entry | None]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(4096)
        file.seek(0)
        if _is_document(head):
            yield from _document(file.read())
            return
        for line in file:
            yield from read_line(line)


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


def _document(content: str) -> Iterator[_Entry | None]:
    try:
        yield from _from_json(json.loads(content))
    except (ValueError, RecursionError):
        yield None


def read_line(line: str) -> Iterator[_Entry | None]:
    """The entries of one line of any text format; None for a line that is none; nothing for blanks and comments."""
    line = line.strip()
    if _DOMAIN.fullmatch(line):  # nearly all lines of the large lists
        yield "domain", line
        return
    if not line or line.startswith(("#", ";", "!", "//")):
        return
    if line.startswith("{"):
        yield from _json_line(line)
    elif found := _STIX.findall(line):
        yield from (_stix(kind, value) for kind, value in found)
    elif "," in line and (line.startswith('"') or line.count(",") > 1) and "://" not in line.partition(",")[0]:
        yield _csv_entry(line)
    else:
        words = line.partition(" ;")[0].partition(" #")[0].split()
        if len(words) > 1 and words[0] in _SINK:
            yield from (_entry(word) for word in words[1:] if word.lower() not in _LOCAL)
        elif len(words) in (2, 3) and (spread := _spread(words[0], words[-1])):
            yield from spread
        else:
            yield _entry(words[0].rstrip(";,"))


def _spread(first: str, last: str) -> list[_Entry] | None:
    """The networks of ``first - last``."""
    try:
        return [("ip", str(network)) for network in summarize_address_range(ip_address(first), ip_address(last))]
    except (ValueError, TypeError):
        return None


def _json_line(line: str) -> Iterator[_Entry | None]:
    try:
        yield from _from_json(json.loads(line))
    except (ValueError, RecursionError):
        yield None


def _from_json(value: Any) -> Iterator[_Entry | None]:
    """Entries of JSON of any shape: STIX indicators, objects with a field of a known name, lists of strings."""
    if isinstance(value, str):
        yield _entry(value)
    elif isinstance(value, list):
        for item in value:
            yield from _from_json(item)
    elif isinstance(value, dict):
        if isinstance(pattern := value.get("pattern"), str):
            yield from (_stix(kind, found) for kind, found in _STIX.findall(pattern))
            return
        if key := next((key for key in _JSON_KEYS if isinstance(value.get(key), str)), None):
            yield _entry(value[key])
            return
        for item in value.values():
            if isinstance(item, (list, dict)):
                yield from _from_json(item)


def _stix(kind: str, value: str) -> _Entry | None:
    del kind
    return _entry(re.sub(r"\\(.)", r"\1", value))


def _csv_entry(line: str) -> _Entry | None:
    """The first field that is a URL, else the first that is an address or a domain."""
    try:
        fields = [item.strip() for item in next(csv.reader([line], skipinitialspace=True))]
    except (csv.Error, StopIteration):
        return None
    urls = [item for item in fields if "://" in item]
    return next((entry for item in urls + fields if (entry := _entry(item))), None)


def _entry(word: str) -> _Entry | None:
    """One URL, domain, address or network."""
    word = refang(word.strip().strip("\"'").removeprefix("||").rstrip("^"))
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
