"""What every check digit needs: digits without their separators, weighted sums, days of a year."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["compact", "digits_of", "is_day", "weighted"]

_SEPARATORS = re.compile(r"[\s./-]")


def compact(text: str) -> str:
    """The text in upper case without separators."""
    return _SEPARATORS.sub("", text).upper()


def digits_of(text: str, *lengths: int) -> list[int]:
    """The digits; none when anything else is in the text or their number is not one of ``lengths``."""
    plain = compact(text)
    if not (plain.isascii() and plain.isdigit()) or (lengths and len(plain) not in lengths):
        return []
    return [int(digit) for digit in plain]


def weighted(digits: Iterable[int], weights: Iterable[int]) -> int:
    """Sum of the digits times their weights; the shorter of the two ends it."""
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def is_day(text: str) -> bool:
    """True when ``MMDD`` can be a day of some year."""
    month, day = int(text[:2]), int(text[2:4])
    return 1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
