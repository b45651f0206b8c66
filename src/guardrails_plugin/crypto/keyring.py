"""Secret keys by id, one of them primary, and the subkeys derived from them.

Nothing here is kept for the user: there is no built-in key, and no key leaves through a repr, an error or a pickle.
Make an entry for a key file or a variable with ``echo "k1:$(openssl rand -base64 32)"``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from guardrails_plugin.crypto.ff1 import FF1
from guardrails_plugin.errors import ConfigError

__all__ = ["Keyring"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_BYTES = range(16, 33)
_LABEL = b"guardrails-plugin keyring v1"
_SUBKEYS_KEPT = 1024
"""Derived keys held at once; a bound, since the tenants of a service have none."""


class Keyring:
    """Several master keys by id; the primary one encrypts, all of them decrypt.

    To rotate: add a key, make it primary, and drop the old one when no token made with it is needed any more.

    Args:
        keys: 16 to 32 random bytes by id (letters, digits, ``_``, ``.``, ``-``; at most 32).
        primary: id of the key that encrypts; the first one by default.

    Raises:
        ConfigError: no key, an invalid id or length, an unknown primary.

    >>> Keyring({"k1": bytes(range(32)), "k2": bytes(range(32, 64))}, primary="k2")
    Keyring('k1', 'k2', primary='k2')
    """

    __slots__ = ("__weakref__", "_cipher", "_keys", "_primary", "_subkey")

    def __init__(self, keys: Mapping[str, bytes], *, primary: str | None = None) -> None:
        if not isinstance(keys, Mapping) or not keys:
            raise ConfigError("keyring: expected a mapping of at least one id to a key")
        for number, (key_id, key) in enumerate(keys.items(), 1):
            _validate(key_id, key, f"keyring: key {number} of {len(keys)}")
        if primary is not None and primary not in keys:
            raise ConfigError(f"keyring: the primary key is not among the keys ({', '.join(keys)})")
        self._keys = dict(keys)
        self._primary = next(iter(keys)) if primary is None else primary
        self._subkey = lru_cache(maxsize=_SUBKEYS_KEPT)(self._derive)
        self._cipher = lru_cache(maxsize=_SUBKEYS_KEPT)(self._ff1)

    @classmethod
    def generate(cls) -> Keyring:
        """A new random key that lives as long as this process; its tokens cannot be opened by any other."""
        return cls({f"g{secrets.token_hex(4)}": secrets.token_bytes(32)})

    @classmethod
    def from_env(cls, variable: str = "GUARDRAILS_KEYRING") -> Keyring:
        """Keys from an environment variable: ``id:base64key[,id:base64key...]``.

        The first is primary, or the one marked with a star: ``k1:...,*k2:...``.

        Raises:
            ConfigError: the variable is not set or not of this form.
        """
        text = os.environ.get(variable, "")
        where = f"environment variable {variable}"
        if not text.strip():
            raise ConfigError(f"{where}: not set; expected id:base64key[,id:base64key...]")
        return cls._parsed(text.split(","), where)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Keyring:
        """Keys from a file: one ``id:base64key`` a line; empty lines and lines that begin with ``#`` do not count.

        Raises:
            ConfigError: the file cannot be read, others than its owner may read it, or it is not of this form.
        """
        where = f"keyring file {Path(path)}"
        try:
            with Path(path).open(encoding="utf-8") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise ConfigError(f"{where}: others than its owner have access; run: chmod 600 {Path(path)}")
                lines = file.read().splitlines()
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{where}: is not a text file") from None
        return cls._parsed([line for line in lines if not line.lstrip().startswith("#")], where)

    @classmethod
    def _parsed(cls, entries: Iterable[str], where: str) -> Keyring:
        keys: dict[str, bytes] = {}
        starred: list[str] = []
        for number, entry in enumerate((entry.strip() for entry in entries if entry.strip()), 1):
            place = f"{where}: entry {number}"
            key_id, colon, text = entry.removeprefix("*").partition(":")
            if not colon:
                raise ConfigError(f"{place}: expected id:base64key, got no ':'")
            key = _decoded(text.strip(), place)
            _validate(key_id.strip(), key, place)
            if key_id.strip() in keys:
                raise ConfigError(f"{place}: the same id twice")
            keys[key_id.strip()] = key
            starred += [key_id.strip()] if entry.startswith("*") else []
        if not keys:
            raise ConfigError(f"{where}: holds no key; expected id:base64key")
        if len(starred) > 1:
            raise ConfigError(f"{where}: {len(starred)} keys are marked primary, expected one")
        return cls(keys, primary=starred[0] if starred else None)

    @property
    def primary(self) -> str:
        """Id of the key that encrypts."""
        return self._primary

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys."""
        return tuple(self._keys)

    def subkey(self, purpose: str, *, tenant: str = "", key_id: str | None = None) -> bytes:
        """32 bytes that only this purpose of this tenant has, from the primary or the named key.

        Raises:
            ConfigError: there is no such key.
        """
        return self._subkey(purpose, tenant, self._known(key_id))

    def ff1(self, entity_type: str, radix: int, *, tenant: str = "", key_id: str | None = None) -> FF1:
        """The FF1 cipher of one entity type of one tenant.

        Raises:
            ConfigError: there is no such key.
        """
        return self._cipher(entity_type, radix, tenant, self._known(key_id))

    def _known(self, key_id: str | None) -> str:
        key_id = self._primary if key_id is None else key_id
        if key_id in self._keys:
            return key_id
        shown = repr(key_id) if _ID.fullmatch(key_id) else "of unreadable id"
        raise ConfigError(f"key {shown} is not in this keyring (it holds: {', '.join(self._keys)})")

    def _derive(self, purpose: str, tenant: str, key_id: str) -> bytes:
        """HKDF-SHA256 (RFC 5869) without salt, one block; the info is unambiguous, for its parts carry lengths."""
        parts = (_LABEL, purpose.encode("utf-8", "surrogatepass"), tenant.encode("utf-8", "surrogatepass"))
        info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        extracted = hmac.digest(bytes(sha256().digest_size), self._keys[key_id], sha256)
        return hmac.digest(extracted, info + b"\x01", sha256)

    def _ff1(self, entity_type: str, radix: int, tenant: str, key_id: str) -> FF1:
        return FF1(self._subkey(f"fpe:{entity_type}", tenant, key_id), radix)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(map(repr, self._keys))}, primary={self._primary!r})"

    def __copy__(self) -> Keyring:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Keyring:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise ConfigError("a keyring cannot be pickled; make one in each process: Keyring.from_env(...)")


def _validate(key_id: object, key: object, place: str) -> None:
    """Refuses without quoting: what stands where an id should may well be a key."""
    if not isinstance(key_id, str) or not _ID.fullmatch(key_id):
        raise ConfigError(f"{place}: invalid id; expected at most 32 letters, digits, '_', '.', '-'")
    if not isinstance(key, bytes):
        raise ConfigError(f"{place}: expected bytes, got {type(key).__name__}")
    if len(key) not in _BYTES:
        raise ConfigError(f"{place}: {len(key)} bytes long, expected {_BYTES.start} to {_BYTES.stop - 1}")


def _decoded(text: str, place: str) -> bytes:
    """Base64 (RFC 4648), either alphabet, with or without padding."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{place}: expected id:base64key") from None
