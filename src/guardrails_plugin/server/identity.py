"""Ids and times as they appear on the wire."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime, timezone

__all__ = ["iso", "made_at", "new_id", "now"]


def new_id() -> str:
    """A random id that sorts by creation time: UUID version 7 (RFC 9562, section 5.7).

    >>> new_id()[14]
    '7'
    """
    stamp = time.time_ns() // 1_000_000
    value = stamp << 80 | int.from_bytes(_random(), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def made_at(made: str) -> datetime:
    """When an id was made, to the millisecond.

    >>> made_at("019b77d1-12b0-7000-8000-000000000000").isoformat(timespec="milliseconds")
    '2026-01-01T04:29:09.168+00:00'
    """
    return datetime.fromtimestamp((uuid.UUID(made).int >> 80) / 1000, timezone.utc)


_DRAWN = 10
_drawn: list[bytes] = []
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_drawn.clear)


def _random() -> bytes:
    """Ten random bytes. Drawn a thousand at a time: asking the system gives the interpreter's lock away each time."""
    try:
        return _drawn.pop()
    except IndexError:
        many = os.urandom(_DRAWN * 1000)
        _drawn.extend(many[at : at + _DRAWN] for at in range(_DRAWN, len(many), _DRAWN))
        return many[:_DRAWN]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``.

    >>> iso(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc))
    '2026-01-02T03:04:05.678Z'
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
