"""Put a keyed pseudonym in place of the value: equal values stay equal, and nobody without the key can guess them."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from itertools import count
from typing import ClassVar

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Hash"]

_DIGITS = re.compile(r"[0-9]{5}")
"""A run that the next check could take for part of a number."""


class Hash:
    """``<US_SSN#4f3a9c...>``: 64 bits of HMAC-SHA256 (RFC 2104) under the tenant's key, separate for each type.

    A plain hash would not do: there are only 10**9 social security numbers to try. No colon: ``<API_KEY:4f...>`` would
    read as a secret that is assigned to a name. Made with the primary key: a rotation changes all pseudonyms.
    """

    name: ClassVar[str] = "hash"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM
    requires_keyring: ClassVar[bool] = True

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The pseudonym. Digests with long runs of digits are passed over, so that none looks like a number.

        Raises:
            ConfigError: the engine has no keyring.
        """
        if call.keyring is None:
            raise ConfigError("hash needs a keyring: Engine(keyring=Keyring.generate()) or Keyring.from_env(...)")
        key = call.keyring.subkey("hash", tenant=call.tenant)
        message = f"{finding.entity_type}\0{value}".encode("utf-8", "surrogatepass")
        digests = (hmac.digest(key, attempt.to_bytes(4, "big") + message, sha256).hex()[:16] for attempt in count())
        return f"<{finding.entity_type}#{next(digest for digest in digests if not _DIGITS.search(digest))}>"
