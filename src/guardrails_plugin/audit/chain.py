"""The arithmetic of a tamper-evident log: each record's code depends on all before it.

``mac[n] = HMAC-SHA256(key, mac[n-1] | n | body[n])`` (RFC 2104), where the body is canonical JSON and the key one that
only this purpose has. Changing, removing, inserting or reordering records breaks every code after the place. The end
of the log cannot prove itself: note its head elsewhere now and then, and check that it is still there.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from guardrails_plugin.crypto.keyring import Keyring

__all__ = ["GENESIS", "canonical", "link"]

GENESIS = "0" * 64
"""What stands before the first record."""

_PURPOSE = "audit chain"


def canonical(record: Mapping[str, Any]) -> str:
    """The one way to write a record as JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def link(keyring: Keyring, key_id: str, previous: str, number: int, body: str) -> str:
    """The code of a record, 64 hexadecimal digits.

    Args:
        keyring: holds the key.
        key_id: which one.
        previous: the code before it.
        number: its place, from 1.
        body: `canonical` of the record.

    Raises:
        ConfigError: the keyring does not hold that key.
    """
    key = keyring.subkey(_PURPOSE, key_id=key_id)
    return hmac.digest(key, f"{previous}|{number}|{key_id}|{body}".encode(), sha256).hex()
