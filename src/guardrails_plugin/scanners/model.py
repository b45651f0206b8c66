"""What a custom scanner is: a definition, and versions of it that go from draft to production.

draft -> tested -> published -> unpublished. Only the newest version changes; published ones stay as they were, so that
a project may pin one. Times are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = [
    "Definition",
    "Direction",
    "Examples",
    "Keywords",
    "NaturalLanguage",
    "RegularExpressions",
    "Scanner",
    "Scope",
    "State",
    "Version",
]

_STRICT = ConfigDict(extra="forbid", frozen=True)
Direction = Literal["request", "response", "both"]
"""What is scanned: what goes to a model, what comes from it, or both."""
Words = Annotated[str, Field(min_length=1, max_length=4_000)]


class Keywords(BaseModel):
    """Words, phrases and sentences, found whole, in any case and in disguise."""

    model_config = _STRICT
    kind: Literal["keyword"] = "keyword"
    terms: Annotated[tuple[Words, ...], Field(min_length=1)]
    allow: tuple[Words, ...] = ()


class RegularExpressions(BaseModel):
    """Patterns in re2 syntax, by name."""

    model_config = _STRICT
    kind: Literal["regex"] = "regex"
    patterns: Annotated[Mapping[str, Words], Field(min_length=1)]
    ignore_case: bool = False


class Examples(BaseModel):
    """Texts of the kind that is looked for, and texts near to it that are fine."""

    model_config = _STRICT
    kind: Literal["examples"] = "examples"
    examples: Annotated[tuple[Words, ...], Field(min_length=1)]
    counter_examples: tuple[Words, ...] = ()


class NaturalLanguage(BaseModel):
    """A description in plain words, judged by a language model."""

    model_config = _STRICT
    kind: Literal["natural_language"] = "natural_language"
    text: Words


Definition = Annotated[Keywords | RegularExpressions | Examples | NaturalLanguage, Field(discriminator="kind")]


class State(str, Enum):
    """How far a version is."""

    DRAFT = "draft"
    TESTED = "tested"
    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"

    def __str__(self) -> str:
        return self.value


class Scope(BaseModel):
    """Whom something is for; nothing named is everybody. As a caller's scope: who asks.

    >>> Scope(groups={"sales"}).covers(Scope(users={"u1"}, groups={"sales", "emea"}))
    True
    """

    model_config = _STRICT
    projects: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def covers(self, caller: Scope) -> bool:
        """True when the caller is in one of the projects (if any are named) and among the people (likewise)."""
        in_project = not self.projects or not self.projects.isdisjoint(caller.projects)
        someone = bool(self.groups or self.users)
        named = not self.groups.isdisjoint(caller.groups) or not self.users.isdisjoint(caller.users)
        return in_project and (named or not someone)


class Version(BaseModel):
    """One version of a scanner.

    Attributes:
        action: ``block``: flagged content is stopped; ``audit``: it is recorded and goes on.
        message: told to the user when it blocks; "" for the application's own.
        threshold: least score that flags.
        expires_at: from when on it is no longer used; None: never.
    """

    model_config = _STRICT
    number: int = Field(ge=1)
    definition: Definition
    state: State = State.DRAFT
    direction: Direction = "both"
    action: Literal["block", "audit"] = "block"
    message: str = Field(default="", max_length=2_000)
    threshold: float = Field(default=0.5, ge=0, le=1)
    scope: Scope = Scope()
    expires_at: datetime | None = None
    created_at: datetime
    created_by: str | None = None
    published_at: datetime | None = None

    @field_validator("expires_at", "created_at", "published_at")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("expected a time with a zone, such as 2026-01-31T12:00:00Z")
        return value

    def in_use(self, now: datetime) -> bool:
        """True when it is published and has not expired."""
        return self.state is State.PUBLISHED and (self.expires_at is None or now < self.expires_at)


class Scanner(BaseModel):
    """A named scanner and its versions, oldest first."""

    model_config = _STRICT
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = Field(default="", max_length=4_000)
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]

    @field_validator("versions")
    @classmethod
    def _numbered(cls, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        if [version.number for version in versions] != list(range(1, len(versions) + 1)):
            raise ValueError("expected versions numbered 1, 2, ...")
        if any(version.state in (State.DRAFT, State.TESTED) for version in versions[:-1]):
            raise ValueError("only the newest version can be a draft or tested")
        return versions

    @property
    def newest(self) -> Version:
        """The version that can be edited, tested and published."""
        return self.versions[-1]

    @property
    def entity_type(self) -> str:
        """What its findings are called: ``CUSTOM_<NAME>``."""
        return "CUSTOM_" + (
            re.sub(r"[^A-Za-z0-9]+", "_", self.name).strip("_").upper() or self.id.upper().replace("-", "_")
        )

    def active(self, now: datetime, pinned: int | None = None) -> Version | None:
        """The version in use: the pinned one, or else the newest published one unless the scanner is being edited."""
        if pinned is not None:
            return next(
                (version for version in self.versions if version.number == pinned and version.in_use(now)), None
            )
        if self.newest.state in (State.DRAFT, State.TESTED):
            return None
        return next((version for version in reversed(self.versions) if version.in_use(now)), None)
