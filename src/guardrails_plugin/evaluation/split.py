"""Which rows are never trained on: every fifth pair, the same on every machine, for training and for measuring."""

from __future__ import annotations

import hashlib

__all__ = ["EVERY", "bucket", "is_held_back", "normal_form"]

EVERY = 5
"""One of so many pairs is held back."""


def bucket(key: str, buckets: int) -> int:
    """A number below `buckets` that depends on `key` alone, the same on every machine and run."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "big") % buckets


def normal_form(text: str) -> str:
    """Text as compared for repetition: lower case, one space between words."""
    return " ".join(text.lower().split())


def is_held_back(text: str, pair: str, *, every: int = EVERY) -> bool:
    """Whether a row is held back: by its pair, so that an attack and its benign twin stay on one side."""
    return bucket(pair or normal_form(text), every) == 0
