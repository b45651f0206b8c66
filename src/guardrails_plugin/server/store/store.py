"""Projects, users, credentials and provider keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from guardrails_plugin.server.identity import new_id, now
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.objects import Objects
from guardrails_plugin.server.store.records import Project, ProviderKey, Token, User
from guardrails_plugin.server.store.tables import projects, provider_keys, tokens, users
from guardrails_plugin.server.store.usage import Usage

__all__ = ["DEFAULT_PROJECT", "Store"]

DEFAULT_PROJECT = "default"
"""Friendly id of the project that the first start makes."""

_Row = TypeVar("_Row", Project, User, Token, ProviderKey)


class Store:
    """What the service keeps. Methods block for about a millisecond; see `Objects` for products' own documents.

    Attributes:
        objects: documents.
        usage: sums by hour.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.objects = Objects(database)
        self.usage = Usage(database)

    def create_project(
        self,
        name: str,
        *,
        friendly_id: str = "",
        kind: str = "app",
        config: Mapping[str, Any] | None = None,
    ) -> Project:
        """A new tenant.

        Raises:
            ApiError: 409, the friendly id is taken.
        """
        key = new_id()
        made = Project(key, friendly_id or key, name, kind, dict(config or {}), now())
        self._insert(projects, made, "A project with this friendly id")
        return made

    def project(self, project_id: str) -> Project | None:
        """By id or friendly id."""
        return self._one(Project, projects, sa.or_(projects.c.id == project_id, projects.c.friendly_id == project_id))

    def projects(self, *, only: str | None = None) -> list[Project]:
        """All projects, for administrators; or only the one of this id."""
        return self._many(Project, projects, *([] if only is None else [projects.c.id == only]))

    def update_project(
        self,
        project_id: str,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Project | None:
        """Change what is given."""
        given = {"name": name, "config": None if config is None else dict(config)}
        self._update(
            projects, [projects.c.id == project_id], {key: value for key, value in given.items() if value is not None}
        )
        return self.project(project_id)

    def delete_project(self, project_id: str) -> bool:
        """Remove a project with its users, credentials, keys and documents."""
        return self._delete(projects, projects.c.id == project_id)

    def create_user(
        self,
        project_id: str,
        email: str,
        password_hash: str,
        *,
        scopes: Sequence[str],
        settings: Mapping[str, Any] | None = None,
    ) -> User:
        """A new user.

        Raises:
            ApiError: 409, the address is taken.
        """
        made = User(
            id=new_id(),
            project_id=project_id,
            email=email.lower(),
            password_hash=password_hash,
            scopes=tuple(scopes),
            is_active=True,
            settings=dict(settings or {}),
            created_at=now(),
        )
        self._insert(users, made, "A user with this e-mail address")
        return made

    def user(self, user_id: str) -> User | None:
        """By id; for authentication. Products ask `users`, which is by project."""
        return self._one(User, users, users.c.id == user_id)

    def user_by_email(self, email: str) -> User | None:
        """By address, in any case; for authentication."""
        return self._one(User, users, users.c.email == email.lower())

    def users(self, project_id: str) -> list[User]:
        """A project's users."""
        return self._many(User, users, users.c.project_id == project_id)

    def update_user(
        self,
        project_id: str,
        user_id: str,
        *,
        settings: Mapping[str, Any] | None = None,
        is_active: bool | None = None,
        password_hash: str | None = None,
        scopes: Sequence[str] | None = None,
    ) -> User | None:
        """Change what is given; call `auth.Authenticator.forget` after it, as for `delete_token`."""
        given = {
            "settings": None if settings is None else dict(settings),
            "is_active": is_active,
            "password_hash": password_hash,
            "scopes": None if scopes is None else list(scopes),
        }
        where = [users.c.project_id == project_id, users.c.id == user_id]
        self._update(users, where, _given(given))
        return self._one(User, users, *where)

    def delete_user(self, project_id: str, user_id: str) -> bool:
        """Remove a user with the credentials that act for them and the provider keys that are theirs alone."""
        with self.database.write() as connection:
            where = users.c.project_id == project_id, users.c.id == user_id
            done = bool(connection.execute(users.delete().where(*where)).rowcount)
            if done:
                for owned in (tokens, provider_keys):
                    connection.execute(owned.delete().where(owned.c.owner_id == user_id))
        return done

    def create_token(
        self,
        project_id: str,
        digest: str,
        preview: str,
        *,
        kind: str,
        scopes: Sequence[str],
        name: str = "",
        owner_id: str = "",
        token_id: str = "",
        per_minute: int | None = None,
        per_hour: int | None = None,
        settings: Mapping[str, Any] | None = None,
        expires_at: datetime | None = None,
    ) -> Token:
        """A credential's row; `auth.Authenticator.issue` makes the secret with it.

        Raises:
            ApiError: 409, its id is taken.
        """
        made = Token(
            id=token_id or new_id(),
            kind=kind,
            project_id=project_id,
            owner_id=owner_id,
            name=name,
            digest=digest,
            preview=preview,
            scopes=tuple(scopes),
            per_minute=per_minute,
            per_hour=per_hour,
            settings=dict(settings or {}),
            created_at=now(),
            expires_at=expires_at,
        )
        self._insert(tokens, made, "A credential with this id")
        return made

    def token_by_digest(self, digests: Sequence[str]) -> Token | None:
        """The credential with one of these hashes; for authentication."""
        return self._one(Token, tokens, tokens.c.digest.in_(digests))

    def token_by_id(self, token_id: str) -> Token | None:
        """For authentication."""
        return self._one(Token, tokens, tokens.c.id == token_id)

    def tokens(self, project_id: str, *, kind: str | None = None, owner_id: str | None = None) -> list[Token]:
        """A project's credentials."""
        where = [tokens.c.project_id == project_id]
        where += [] if kind is None else [tokens.c.kind == kind]
        where += [] if owner_id is None else [tokens.c.owner_id == owner_id]
        return self._many(Token, tokens, *where)

    def update_token(self, project_id: str, token_id: str, settings: Mapping[str, Any]) -> Token | None:
        """Replace what products keep with it."""
        where = [tokens.c.project_id == project_id, tokens.c.id == token_id]
        self._update(tokens, where, {"settings": dict(settings)})
        return self._one(Token, tokens, *where)

    def delete_token(self, project_id: str, token_id: str) -> bool:
        """Revoke; call `auth.Authenticator.forget` after it, or a cached answer lives on for two seconds."""
        return self._delete(tokens, tokens.c.project_id == project_id, tokens.c.id == token_id)

    def add_provider_key(self, key: ProviderKey) -> None:
        """Keep a sealed key; `providers.ProviderKeys` seals it."""
        self._insert(provider_keys, key, "A provider key with this id")

    def provider_key(self, project_id: str, key_id: str) -> ProviderKey | None:
        """By id."""
        return self._one(
            ProviderKey, provider_keys, provider_keys.c.project_id == project_id, provider_keys.c.id == key_id
        )

    def provider_keys(self, project_id: str, *, owner_id: str | None = None) -> list[ProviderKey]:
        """A project's keys, oldest first."""
        where = [provider_keys.c.project_id == project_id]
        where += [] if owner_id is None else [provider_keys.c.owner_id == owner_id]
        return self._many(ProviderKey, provider_keys, *where)

    def delete_provider_key(self, project_id: str, key_id: str) -> bool:
        """Remove."""
        return self._delete(provider_keys, provider_keys.c.project_id == project_id, provider_keys.c.id == key_id)

    def _one(self, kind: type[_Row], table: sa.Table, *where: sa.ColumnElement[bool]) -> _Row | None:
        with self.database.read() as connection:
            row = connection.execute(sa.select(table).where(*where)).first()
        return _value(kind, row) if row else None

    def _many(self, kind: type[_Row], table: sa.Table, *where: sa.ColumnElement[bool]) -> list[_Row]:
        with self.database.read() as connection:
            rows = connection.execute(sa.select(table).where(*where).order_by(table.c.id)).all()
        return [_value(kind, row) for row in rows]

    def _insert(self, table: sa.Table, made: Project | User | Token | ProviderKey, what: str) -> None:
        try:
            with self.database.write() as connection:
                connection.execute(table.insert().values(asdict(made)))
        except IntegrityError:
            raise ApiError(409, f"{what} exists already, or its project does not.") from None

    def _update(self, table: sa.Table, where: Sequence[sa.ColumnElement[bool]], values: Mapping[str, Any]) -> None:
        if values:
            with self.database.write() as connection:
                connection.execute(table.update().where(*where).values(values))

    def _delete(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> bool:
        with self.database.write() as connection:
            return bool(connection.execute(table.delete().where(*where)).rowcount)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _value(kind: type[_Row], row: sa.Row[Any]) -> _Row:
    values = dict(row._mapping)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its documented name
    if "scopes" in values:
        values["scopes"] = tuple(values["scopes"])
    return kind(**values)
