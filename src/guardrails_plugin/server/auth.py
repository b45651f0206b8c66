"""Who is asking: credentials to principals.

Random secrets are kept as keyed hashes (HMAC-SHA256 under a key only this purpose has): nobody can guess 256 random
bits, so a slow hash would protect nothing. Passwords, which can be guessed, are kept with argon2id. Sessions are JWTs
of one hour, signed with a key derived from the keyring; they name a user or an OAuth client, who is looked up each
time, so that one who is gone has no session either, nor one whose password has changed.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from hashlib import blake2b, sha256
from typing import Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.server.identity import new_id, now
from guardrails_plugin.server.problems import forbidden
from guardrails_plugin.server.scopes import ADMIN, GUARD, MANAGE, lent
from guardrails_plugin.server.store.records import Token, User
from guardrails_plugin.server.store.store import Store

__all__ = ["ADMIN", "GUARD", "MANAGE", "Authenticator", "Principal"]

SESSION_SECONDS = 3600
_REMEMBERED_SECONDS = 2.0
"""How long a looked-up credential is believed; a credential revoked by another process works for this long."""
_REMEMBERED = 10_000
_AUDIENCE = "guardrails-plugin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and for which project.

    Attributes:
        project_id: the tenant; every query and every encryption is for it.
        scopes: of `GUARD`, `MANAGE`, `ADMIN`.
        subject: whose limits and statistics: the user, or ``machine=<token id>``.
        user_id: the user, or "" for a machine.
        token_id: the credential, or "" for a session.
        preview: what may be shown of the credential.
        per_minute: requests; None: the service's default.
        settings: JSON of the credential (a template pack, ...).
    """

    project_id: str
    scopes: frozenset[str]
    subject: str
    user_id: str = ""
    token_id: str = ""
    preview: str = ""
    per_minute: int | None = None
    per_hour: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether it may manage every project."""
        return ADMIN in self.scopes

    def require(self, scope: str) -> Principal:
        """Itself.

        Raises:
            ApiError: 403, it lacks the scope.
        """
        if scope not in self.scopes and not self.is_admin:
            raise forbidden(f"These credentials lack the scope {scope!r}.")
        return self

    def within(self, project_id: str) -> Principal | None:
        """The same one acting for another project; None when that is not its own and it is no administrator."""
        if project_id == self.project_id:
            return self
        return replace(self, project_id=project_id) if self.is_admin else None


class Authenticator:
    """Issues credentials and recognises them. Its methods block while the database answers, except `remembered`."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._passwords = PasswordHasher()
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._memory_key = secrets.token_bytes(32)

    def issue(
        self,
        project_id: str,
        *,
        kind: str = "bearer",
        scopes: Sequence[str] = (GUARD,),
        name: str = "",
        owner_id: str = "",
        prefix: str = "gp",
        secret: str = "",
        token_id: str = "",
        per_minute: int | None = None,
        per_hour: int | None = None,
        settings: Mapping[str, Any] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[str, Token]:
        """A new credential ``<prefix>_<key id>_<secret>``; the text is given this once.

        Args:
            project_id: for which project.
            kind: ``bearer``, ``machine``, ``rampart`` or ``client``.
            scopes: what it may do.
            name: for people.
            owner_id: the user it acts for; none for a machine.
            prefix: how it begins.
            secret: the whole text, when the operator chose it.
            token_id: likewise.
            per_minute: requests; None: the service's default.
            per_hour: likewise.
            settings: JSON for products to keep with it.
            expires_at: until when.
        """
        token_id = token_id or new_id()
        text = secret or f"{prefix}_{token_id[-12:]}_{secrets.token_urlsafe(32)}"
        token = self._store.create_token(
            project_id,
            self._digest(text, self._keyring.primary),
            f"{text[:4]}..." if secret else f"{prefix}_{token_id[-12:]}...{text[-4:]}",
            kind=kind,
            scopes=scopes,
            name=name,
            owner_id=owner_id,
            token_id=token_id,
            per_minute=per_minute,
            per_hour=per_hour,
            settings=settings,
            expires_at=expires_at,
        )
        return text, token

    def session(self, *, user: User | None = None, client: Token | None = None) -> tuple[str, int]:
        """A JWT for a user or an OAuth client, and the seconds it is good for."""
        kind, subject = ("user", user.id) if user else ("client", client.id if client else "")
        key_id = self._keyring.primary
        issued = int(time.time())
        claims = {"sub": subject, "kind": kind, "aud": _AUDIENCE, "iat": issued, "exp": issued + SESSION_SECONDS}
        if user is not None:
            claims["pwd"] = self._password_mark(user, key_id)
        key = self._keyring.subkey("session", key_id=key_id)
        return jwt.encode({**claims, "jti": new_id()}, key, "HS256", headers={"kid": key_id}), SESSION_SECONDS

    def hash_password(self, password: str) -> str:
        """For a user's row; takes about 0.2 s on purpose."""
        return self._passwords.hash(password)

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password has, made at first use: making one takes as long as checking one."""
        return self._passwords.hash(secrets.token_hex(16))

    def login(self, email: str, password: str) -> User | None:
        """The user with this address and password. Takes as long for an unknown address as for a wrong password."""
        user = self._store.user_by_email(email)
        try:
            self._passwords.verify(user.password_hash if user else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return None
        return user if user and user.is_active else None

    def client(self, client_id: str, secret: str) -> Token | None:
        """The OAuth client with this id and secret."""
        token = self._store.token_by_id(client_id)
        known = token is not None and token.kind == "client"
        digest = token.digest if token is not None and known else "0" * 64
        matches = [
            hmac.compare_digest(candidate, digest) for candidate in self._digests(_client_text(client_id, secret))
        ]
        return token if known and any(matches) and not _expired(token) else None

    def client_secret(self, client_id: str, secret: str) -> str:
        """What `issue` takes as ``secret`` for an OAuth client."""
        return _client_text(client_id, secret)

    def remembered(self, credential: str) -> Principal | None:
        """Who has this credential, when it was looked up a moment ago."""
        known = self._known.get(self._remembered_as(credential))
        return known[1] if known and known[0] > time.monotonic() else None

    def recognise(self, credential: str) -> Principal | None:
        """Who has this bearer token, key or session; None when nobody has."""
        principal = self._session_of(credential) if credential.count(".") == 2 else None
        principal = principal or self._holder(credential)
        if principal is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            until = time.monotonic() + _REMEMBERED_SECONDS
            self._known[self._remembered_as(credential)] = (until, principal)
        return principal

    def forget(self) -> None:
        """Look every credential up again: one was changed or revoked."""
        self._known.clear()

    def _remembered_as(self, credential: str) -> bytes:
        # Not HMAC: OpenSSL's lets go of the interpreter lock, and the event loop waits a millisecond to get it back.
        return blake2b(credential.encode("utf-8", "surrogatepass"), key=self._memory_key, digest_size=32).digest()

    def _holder(self, credential: str) -> Principal | None:
        token = self._store.token_by_digest(self._digests(credential))
        if token is None or token.kind == "client" or _expired(token):
            return None
        return self._principal(token)

    def _session_of(self, credential: str) -> Principal | None:
        try:
            key_id = jwt.get_unverified_header(credential).get("kid")
            if key_id not in self._keyring.key_ids:
                return None
            key = self._keyring.subkey("session", key_id=key_id)
            required = {"require": ["sub", "exp", "kind"]}
            claims = jwt.decode(credential, key, algorithms=["HS256"], audience=_AUDIENCE, options=required)  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            return None
        if claims["kind"] == "client":
            token = self._store.token_by_id(claims["sub"])
            return self._principal(token) if token and token.kind == "client" and not _expired(token) else None
        user = self._store.user(claims["sub"])
        if user is None or not user.is_active:
            return None
        if not hmac.compare_digest(str(claims.get("pwd", "")).encode(), self._password_mark(user, key_id).encode()):
            return None
        return Principal(user.project_id, frozenset(user.scopes), user.id, user_id=user.id, preview="session")

    def _password_mark(self, user: User, key_id: str) -> str:
        """Says in a session which password it was opened with, and nothing about it."""
        return self._digest(f"password:{user.password_hash}", key_id)[:32]

    def _principal(self, token: Token) -> Principal | None:
        scopes = frozenset(token.scopes)
        if token.owner_id:
            owner = self._store.user(token.owner_id)
            if owner is None or not owner.is_active:
                return None
            if ADMIN not in owner.scopes:
                # What is taken from a user is taken from their keys.
                scopes &= frozenset(owner.scopes)
                if owner.project_id != token.project_id:
                    project = self._store.project(token.project_id)
                    scopes &= lent(project, owner.id) if project else frozenset()
                    if not scopes:
                        return None
        return Principal(
            project_id=token.project_id,
            scopes=scopes,
            subject=token.owner_id or f"machine={token.id}",
            user_id=token.owner_id,
            token_id=token.id,
            preview=token.preview,
            per_minute=token.per_minute,
            per_hour=token.per_hour,
            settings=token.settings,
        )

    def _digests(self, text: str) -> list[str]:
        return [self._digest(text, key_id) for key_id in self._keyring.key_ids]

    def _digest(self, text: str, key_id: str) -> str:
        key = self._keyring.subkey("credentials", key_id=key_id)
        return hmac.digest(key, text.encode("utf-8", "surrogatepass"), sha256).hex()


def _client_text(client_id: str, secret: str) -> str:
    return f"client:{client_id}:{secret}"


def _expired(token: Token | None) -> bool:
    return token is not None and token.expires_at is not None and token.expires_at <= now()
