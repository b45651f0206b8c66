"""The ``fpe_context`` of Pangea's answers: base64 of JSON, round our own token.

The JSON has the documented keys: algorithm ``a``, matches ``m`` (alphabet, start, end, type, encrypted value), ``t``,
key id ``k``, version ``v`` and config ``c``. What turns values back is in ``t``: our authenticated token and an
HMAC-SHA256 over all the rest, so that nothing in it can be changed unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from hashlib import sha256
from typing import Any

from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.types import GuardResult

__all__ = ["opened", "wrapped"]

_ALGORITHM = "FF1"
_PURPOSE = "pangea_fpe_context"


def wrapped(result: GuardResult, keyring: Keyring, tenant: str, config_id: str | None) -> str | None:
    """The context for a result's encrypted values; None when there are none."""
    if result.fpe_context is None:
        return None
    encrypted = (made for made in result.replacements if made.decision.action == "encrypt")
    matches = [
        {"a": 1, "s": made.start, "e": made.end, "t": made.decision.finding.entity_type, "v": made.text}
        for made in encrypted
    ]
    body = {"a": _ALGORITHM, "m": matches, "t": "", "k": keyring.primary, "v": 1, "c": config_id or ""}
    tag = _tag(body, result.fpe_context, keyring, tenant, keyring.primary)
    return _encoded({**body, "t": f"{result.fpe_context}.{tag}"})


def opened(context: str, keyring: Keyring, tenant: str) -> str:
    """Our token in a context; a bare token is taken too.

    Raises:
        ApiError: 400, it is none, was changed, or belongs to another project.
    """
    body = _decoded(context)
    if body is None:
        return context
    token, _, tag = str(body.get("t", "")).rpartition(".")
    try:
        expected = _tag({**body, "t": ""}, token, keyring, tenant, str(body.get("k", "")))
    except ConfigError:
        expected = ""
    if not expected or not hmac.compare_digest(expected.encode(), tag.encode()) or _encoded(body) != context:
        detail = "The context is not of this service, was changed, or belongs to another project."
        raise faulty("/fpe_context", detail, "BadState")
    return token


def _tag(body: dict[str, Any], token: str, keyring: Keyring, tenant: str, key_id: str) -> str:
    key = keyring.subkey(_PURPOSE, tenant=tenant, key_id=key_id)
    return hmac.digest(key, f"{_dumped(body)}{token}".encode(), sha256).hex()


def _dumped(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"))


def _encoded(body: dict[str, Any]) -> str:
    return base64.b64encode(_dumped(body).encode()).decode()


def _decoded(context: str) -> dict[str, Any] | None:
    try:
        body = json.loads(base64.b64decode(context, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
