"""Rows as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Project", "ProviderKey", "Token", "User"]


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant: nothing of one project is visible to another.

    Attributes:
        friendly_id: a name for URLs, unique.
        config: JSON that products keep with it.
    """

    id: str
    friendly_id: str
    name: str
    type: str
    config: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person with a password.

    Attributes:
        scopes: see `auth.Principal`.
        settings: JSON that products keep with them.
    """

    id: str
    project_id: str
    email: str
    password_hash: str = field(repr=False)
    scopes: tuple[str, ...]
    is_active: bool
    settings: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """A credential; its secret is not kept, only a keyed hash.

    Attributes:
        kind: ``bearer``, ``machine``, ``rampart`` or ``client`` (OAuth; its id is the client id).
        owner_id: the user it acts for, or "" for a machine's.
        preview: what may be shown of it.
        per_minute: requests; None: the service's default.
        settings: JSON that products keep with it.
    """

    id: str
    kind: str
    project_id: str
    owner_id: str
    name: str
    digest: str = field(repr=False)
    preview: str
    scopes: tuple[str, ...]
    per_minute: int | None
    per_hour: int | None
    settings: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A model provider's API key, sealed."""

    id: str
    project_id: str
    owner_id: str
    provider: str
    name: str
    sealed: str = field(repr=False)
    preview: str
    settings: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
