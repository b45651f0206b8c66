"""Threat-intelligence feeds that users plug in: hosts, URLs and address ranges, looked up in about a microsecond.

`feed_lines` reads their formats. No feed ships with the package.

How: a sorted array of 64-bit BLAKE2b hashes of normalised ``host`` and ``host/path`` (8 bytes an entry) and sorted
address ranges, both searched by bisection, behind a bit field of checksums (2 to 4 bytes an entry). A listed host
covers its subdomains; a listed URL is that URL only, with or without its query. A changed file is loaded again,
within `RELOAD_SECONDS`, and swapped in at once.
Limits: a false hit by hash collision has odds of about 1 in 10^13 a lookup at 500,000 entries; a feed that vanishes,
cannot be read or has no entry any more while running keeps its last good content; what a STIX indicator says about its
end is read when the file is.
"""

from __future__ import annotations

import logging
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from guardrails_plugin.detectors.feed_lines import Entry, read_file
from guardrails_plugin.detectors.url_parts import IP, Parts
from guardrails_plugin.errors import ConfigError

__all__ = ["RELOAD_SECONDS", "FeedIndex", "Feeds"]

_log = logging.getLogger("guardrails_plugin.feeds")

RELOAD_SECONDS = 5.0
"""How long a changed file may go unnoticed."""


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
    def build(entries: Iterable[Entry | None]) -> FeedIndex:
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
        ConfigError: a file is missing, cannot be read, or holds lines and no entry; the message names it.
    """

    def __init__(self, paths: Sequence[Path], reload_seconds: float = RELOAD_SECONDS) -> None:
        self._paths = tuple(paths)
        self._wait = reload_seconds
        self._lock = threading.Lock()
        self._doubted: set[Path] = set()
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
            return FeedIndex.build(entry for path in self._paths for entry in self._entries(path))
        except OSError as error:
            raise _unreadable(error) from None

    def _entries(self, path: Path) -> Iterator[Entry | None]:
        """The entries of a file; one warning, for as long as this object lives, where most lines are none."""
        counts = [0, 0]
        for entry in read_file(path):
            counts[entry is None] += 1
            yield entry
        read, skipped = counts
        if skipped and not read:
            raise ConfigError(
                f"malicious_url: feeds: {path}: none of its {skipped} lines is an entry; expected URLs, domains, "
                "addresses, hosts files, CSV, ad-block lists, resolver settings or STIX, in UTF-8 or marked UTF-16"
            )
        if skipped > read and path not in self._doubted:
            self._doubted.add(path)
            _log.warning("malicious_url: feeds: %s: %d of %d lines are no entries", path, skipped, read + skipped)


def _unreadable(error: OSError) -> ConfigError:
    return ConfigError(f"malicious_url: feeds: cannot read {error.filename}: {error.strerror or type(error).__name__}")
