"""The token that turns encrypted values back: authenticated, stateless, bound to a tenant.

base64url of ``version | length of key id | key id | nonce | AES-256-GCM(zlib(JSON))`` (NIST SP 800-38D), with
``version | length | key id | tenant`` as associated data. Nonces are random: a key should make no more than 2**32
tokens per tenant (section 8.3 there), then be rotated. The JSON holds, by key and tweak, entity types and ciphertexts;
plaintexts only of surrogates.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from guardrails_plugin.crypto import format_preserving
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.crypto.restorer import Found, Hidden, Restorer
from guardrails_plugin.errors import ConfigError, ContentError
from guardrails_plugin.types import Finding

__all__ = ["Entry", "FpeContext", "entry", "merge", "open_", "restore", "seal"]

_VERSION = b"\x01"
_NONCE = 12
_LARGEST = 16 * 2**20
"""Bytes of JSON: neither made nor unpacked beyond it."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_FOREIGN = "fpe_context: not a token of this package"


@dataclass(frozen=True, slots=True)
class Entry:
    """One replaced value.

    Attributes:
        text: what stands in the output.
        plaintext: what stood there, only when ``text`` is a surrogate, from which it cannot be computed.
        touching: it stood directly beside a letter or digit.
    """

    entity_type: str
    text: str = field(repr=False)
    plaintext: str | None = field(default=None, repr=False)
    touching: bool = False


@dataclass(frozen=True, slots=True)
class _Group:
    """Entries that were encrypted under one key and tweak."""

    key_id: str
    tweak: bytes = field(repr=False)
    entries: tuple[Entry, ...]


class FpeContext:
    """An opened token.

    Attributes:
        entries: what it can turn back.
        restorer: finds and restores them.
    """

    __slots__ = ("entries", "groups", "restorer")

    def __init__(self, groups: Sequence[_Group], keyring: Keyring, tenant: str) -> None:
        self.groups = tuple(groups)
        self.entries = tuple(entry for group in groups for entry in group.entries)
        self.restorer = Restorer(_hidden(groups, keyring, tenant))

    def __repr__(self) -> str:
        return f"FpeContext({len(self.entries)} entries)"

    def tweak(self, key_id: str) -> bytes | None:
        """What values were last encrypted with under a key, so that equal ones can be made equal again."""
        return next((group.tweak for group in reversed(self.groups) if group.key_id == key_id), None)

    def find(self, text: str, types: Container[str] | None = None) -> tuple[Found, ...]:
        """Where encrypted values stand in a text, and their originals; see `Restorer.find`."""
        return self.restorer.find(text, types)

    def restore(self, text: str, types: Container[str] | None = None) -> str:
        """The text with the originals in place; see `Restorer.restore`."""
        return self.restorer.restore(text, types)


def entry(value: str, replaced: str, finding: Finding, *, touching: bool = False) -> Entry:
    """What the token must know about a value that the ``encrypt`` action replaced.

    Args:
        value: what was replaced.
        replaced: by what.
        finding: why.
        touching: the value stood directly beside a letter or digit.
    """
    kind = finding.entity_type
    return Entry(kind, replaced, value if format_preserving.is_surrogate(replaced, kind) else None, touching)


def seal(entries: Iterable[Entry], tweak: bytes, keyring: Keyring, tenant: str = "") -> str:
    """The token for values encrypted with the primary key.

    Args:
        entries: of `entry`; repeated ones are kept once.
        tweak: what the values were encrypted with.
        keyring: whose primary key encrypted them.
        tenant: theirs.

    Raises:
        ContentError: too many values for one token, or one text stands for two values.
    """
    return _sealed([_Group(keyring.primary, tweak, tuple(dict.fromkeys(entries)))], keyring, tenant)


def open_(token: str, keyring: Keyring, tenant: str = "") -> FpeContext:
    """The content of a token.

    Raises:
        ConfigError: it is no such token, was changed, belongs to another tenant, or its key is not in the keyring.
    """
    head, nonce, sealed = _split(token)
    key_id = head[2:].decode("ascii", "replace")
    key = _with_place(keyring, "token", tenant, key_id)
    # Deferred: see `ff1`.
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        packed = AESGCM(key).decrypt(nonce, sealed, head + _encoded(tenant))
    except InvalidTag:
        raise ConfigError(
            f"fpe_context: cannot be opened with key {key_id!r}: it was changed, or belongs to another tenant"
        ) from None
    groups = [
        _Group(group_key, bytes.fromhex(tweak), tuple(Entry(*row) for row in rows))
        for group_key, tweak, rows in json.loads(_unpacked(packed))
    ]
    for group in groups:
        _with_place(keyring, "token", tenant, group.key_id)
    return FpeContext(groups, keyring, tenant)


def restore(text: str, token: str, keyring: Keyring, tenant: str = "", *, types: Container[str] | None = None) -> str:
    """The text with the values of a token turned back; `open_` it once to restore many texts."""
    return open_(token, keyring, tenant).restore(text, types)


def merge(tokens: Iterable[str], keyring: Keyring, tenant: str = "") -> str:
    """One token that does what all of them do, sealed with the primary key: for conversations of many turns.

    Raises:
        ConfigError: as `open_`.
        ContentError: a surrogate stands for different values in different tokens, or the token grows too large.
    """
    by_tweak: dict[tuple[str, bytes], dict[Entry, None]] = {}
    for token in tokens:
        for group in open_(token, keyring, tenant).groups:
            by_tweak.setdefault((group.key_id, group.tweak), {}).update(dict.fromkeys(group.entries))
    groups = [_Group(key_id, tweak, tuple(entries)) for (key_id, tweak), entries in by_tweak.items()]
    return _sealed(groups, keyring, tenant)


def _hidden(groups: Iterable[_Group], keyring: Keyring, tenant: str) -> Iterator[Hidden]:
    for group in groups:
        reveal = partial(
            format_preserving.decrypt, keyring=keyring, tenant=tenant, tweak=group.tweak, key_id=group.key_id
        )
        for item in group.entries:
            if item.plaintext is None:
                original = partial(reveal, item.text, item.entity_type)
                yield Hidden(item.entity_type, item.text, original, touching=item.touching)
            else:
                original = partial(str, item.plaintext)
                yield Hidden(item.entity_type, item.text, original, rigid=True, touching=item.touching)


def _sealed(groups: Sequence[_Group], keyring: Keyring, tenant: str) -> str:
    FpeContext(groups, keyring, tenant)  # finds out now whether it could be opened
    rows = [[group.key_id, group.tweak.hex(), [_row(item) for item in group.entries]] for group in groups]
    plain = json.dumps(rows, separators=(",", ":")).encode()
    if len(plain) > _LARGEST:
        raise ContentError(f"fpe_context: {len(plain)} bytes of encrypted values, at most {_LARGEST} fit in a token")
    # Deferred: see `ff1`.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id = keyring.primary.encode()
    head = _VERSION + bytes((len(key_id),)) + key_id
    nonce = os.urandom(_NONCE)
    key = keyring.subkey("token", tenant=tenant)
    sealed = AESGCM(key).encrypt(nonce, zlib.compress(plain), head + _encoded(tenant))
    return base64.urlsafe_b64encode(head + nonce + sealed).rstrip(b"=").decode()


def _row(item: Entry) -> list[str | bool | None]:
    rest: list[str | bool | None] = [item.plaintext, True] if item.touching else [item.plaintext]
    return [item.entity_type, item.text, *(rest if rest != [None] else [])]


def _split(token: str) -> tuple[bytes, bytes, bytes]:
    """Head (version, length, key id), nonce and ciphertext. Only the one canonical spelling of a token counts."""
    if not isinstance(token, str) or not _BASE64URL.fullmatch(token) or len(token) % 4 == 1:
        raise ConfigError(_FOREIGN)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if canonical != token or raw[:1] != _VERSION or len(raw) < 2 or len(raw) < 2 + raw[1] + _NONCE + 16:
        raise ConfigError(_FOREIGN)
    end = 2 + raw[1]
    return raw[:end], raw[end : end + _NONCE], raw[end + _NONCE :]


def _with_place(keyring: Keyring, purpose: str, tenant: str, key_id: str) -> bytes:
    try:
        return keyring.subkey(purpose, tenant=tenant, key_id=key_id)
    except ConfigError as error:
        raise ConfigError(f"fpe_context: {error}") from None


def _unpacked(packed: bytes) -> bytes:
    """Bounded, so that no token, whoever made it, fills the memory."""
    unzip = zlib.decompressobj()
    plain = unzip.decompress(packed, _LARGEST + 1)
    if len(plain) > _LARGEST:
        raise ConfigError(f"fpe_context: unpacks to more than {_LARGEST} bytes")
    return plain


def _encoded(tenant: str) -> bytes:
    return tenant.encode("utf-8", "surrogatepass")
