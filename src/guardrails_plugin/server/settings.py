"""What the operator decides, read once from the environment. No secret has a default."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError

__all__ = ["LEAST_PASSWORD", "Settings"]

LEAST_PASSWORD = 12
"""Characters of a user's password."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's configuration; see `from_environment` for the variables.

    Attributes:
        keyring: every secret of the service derives from it: token hashes, sessions, stored provider keys, the
            audit chain, reversible redaction.
        database_url: SQLAlchemy URL; SQLite or PostgreSQL.
        recipes: file or folder with recipes of the operator's own.
        redis_url: where rate limits are counted; in each process's memory when empty.
        bootstrap_token: a bearer token that every product's routes accept.
        bootstrap_user: e-mail and password of the first administrator.
        bootstrap_client: id and secret of the first OAuth client.
        provider: default model behind the proxy: ``echo``, or ``name:model`` as `init_chat_model` has it.
        provider_key: its API key.
        provider_url: its address, when not the provider's own.
        provider_hosts: ``host`` or ``host:port`` that tenants' provider addresses may name although not public.
        prices: US dollars per million input and output tokens, by ``provider/model``.
        body_limit: bytes of a request body.
        per_minute: requests of a credential without limits of its own; 0: no limit.
        per_hour: likewise.
        public_demo: whether the demonstration route answers without credentials.
        public_metrics: whether ``/metrics`` does.
    """

    keyring: Keyring
    database_url: str = field(default="sqlite:///guardrails.db", repr=False)
    recipes: Path | None = None
    redis_url: str = field(default="", repr=False)
    bootstrap_token: str = field(default="", repr=False)
    bootstrap_user: tuple[str, str] | None = field(default=None, repr=False)
    bootstrap_client: tuple[str, str] | None = field(default=None, repr=False)
    provider: str = ""
    provider_key: str = field(default="", repr=False)
    provider_url: str = ""
    provider_hosts: frozenset[str] = frozenset()
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    body_limit: int = 1024 * 1024
    per_minute: int = 1000
    per_hour: int = 10_000
    public_demo: bool = True
    public_metrics: bool = False

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings from this process's environment.

        ``GUARDRAILS_KEYRING`` (required), ``_DATABASE_URL``, ``_RECIPES``, ``_REDIS_URL``, ``_BOOTSTRAP_TOKEN``,
        ``_BOOTSTRAP_USER`` (``email:password``), ``_BOOTSTRAP_OAUTH_CLIENT`` (``id:secret``), ``_PROVIDER``,
        ``_PROVIDER_KEY``, ``_PROVIDER_URL``, ``_PROVIDER_HOSTS`` (comma-separated), ``_PRICES`` (JSON),
        ``_BODY_LIMIT``, ``_RATE_LIMIT_PER_MINUTE``, ``_RATE_LIMIT_PER_HOUR``, ``_PUBLIC_METRICS``,
        and ``ENABLE_PUBLIC_FILTER_DEMO``.

        Raises:
            ConfigError: a variable is missing or malformed; the message names it and never quotes a secret.
        """
        source = _Variables(os.environ)
        return cls(
            keyring=Keyring.from_env(),
            database_url=source.text("GUARDRAILS_DATABASE_URL", "sqlite:///guardrails.db"),
            recipes=Path(source.text("GUARDRAILS_RECIPES")) if source.text("GUARDRAILS_RECIPES") else None,
            redis_url=source.text("GUARDRAILS_REDIS_URL"),
            bootstrap_token=source.secret("GUARDRAILS_BOOTSTRAP_TOKEN"),
            bootstrap_user=source.pair("GUARDRAILS_BOOTSTRAP_USER", "email:password", _EMAIL, LEAST_PASSWORD),
            bootstrap_client=source.pair("GUARDRAILS_BOOTSTRAP_OAUTH_CLIENT", "id:secret", _CLIENT_ID, _LEAST_SECRET),
            provider=source.matching("GUARDRAILS_PROVIDER", _PROVIDER, "echo or name:model"),
            provider_key=source.text("GUARDRAILS_PROVIDER_KEY"),
            provider_url=source.matching("GUARDRAILS_PROVIDER_URL", _URL, "http:// or https:// and a host"),
            provider_hosts=source.hosts("GUARDRAILS_PROVIDER_HOSTS"),
            prices=source.prices("GUARDRAILS_PRICES"),
            body_limit=source.number("GUARDRAILS_BODY_LIMIT", 1024 * 1024, least=1),
            per_minute=source.number("GUARDRAILS_RATE_LIMIT_PER_MINUTE", 1000),
            per_hour=source.number("GUARDRAILS_RATE_LIMIT_PER_HOUR", 10_000),
            public_demo=source.switch("ENABLE_PUBLIC_FILTER_DEMO", default=True),
            public_metrics=source.switch("GUARDRAILS_PUBLIC_METRICS", default=False),
        )


_LEAST_SECRET = 16
"""Characters of a bootstrap token or secret at least: it is compared by its hash, and must not be guessable."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CLIENT_ID = re.compile(r"(?!bootstrap$)[\x21-\x7e]{1,64}")
"""``bootstrap`` is the name of the token's own row."""

_PROVIDER = re.compile(r"echo|[a-z0-9_-]+:\S+")
_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?]\S*)?")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


class _Variables:
    """One environment, read with errors that name the variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        value = self.text(name)
        if value and len(value) < _LEAST_SECRET:
            raise ConfigError(f"environment variable {name}: {len(value)} characters, expected {_LEAST_SECRET} or more")
        return value

    def pair(self, name: str, form: str, valid: re.Pattern[str], least: int) -> tuple[str, str] | None:
        value = self.text(name)
        if not value:
            return None
        first, _, second = value.partition(":")
        if not valid.fullmatch(first) or len(second) < least:
            what = form.partition(":")
            raise ConfigError(
                f"environment variable {name}: expected {form} with a valid {what[0]} and {least} characters or more "
                f"of {what[2]}"
            )
        return first, second

    def matching(self, name: str, valid: re.Pattern[str], form: str) -> str:
        value = self.text(name)
        if value and not valid.fullmatch(value):
            # Not quoted: an address may hold a password.
            raise ConfigError(f"environment variable {name}: expected {form}")
        return value

    def hosts(self, name: str) -> frozenset[str]:
        given = [host.strip() for host in self.text(name).split(",") if host.strip()]
        for host in given:
            if not _HOST.fullmatch(host):
                raise ConfigError(f"environment variable {name}: expected host or host:port, got {host[:40]!r}")
        return frozenset(given)

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or int(value) < least:
            raise ConfigError(f"environment variable {name}: expected a number from {least} up, got {value[:40]!r}")
        return int(value)

    def switch(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in _TRUE | _FALSE:
            raise ConfigError(f"environment variable {name}: expected true or false, got {value[:40]!r}")
        return value in _TRUE if value else default

    def prices(self, name: str) -> Mapping[str, tuple[float, float]]:
        form = f'environment variable {name}: expected JSON like {{"openai/some-model": [0.1, 0.4]}}'
        try:
            given: Any = json.loads(self.text(name, "{}"))
            read = {str(model): (float(into), float(out)) for model, (into, out) in given.items()}
        except (ValueError, TypeError, AttributeError):
            raise ConfigError(form) from None
        if not all(math.isfinite(price) and price >= 0 for pair in read.values() for price in pair):
            raise ConfigError(f"{form}, prices from 0 up")
        return read
