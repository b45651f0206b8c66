"""Documents of any kind, each of one project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from guardrails_plugin.server.identity import new_id, now
from guardrails_plugin.server.store.database import Database
from guardrails_plugin.server.store.tables import objects

__all__ = ["Object", "Objects", "Page"]

_PAGE = 500
"""Documents read at once where all are wanted."""


@dataclass(frozen=True, slots=True)
class Object:
    """One document.

    Attributes:
        owner_id: whose it is, where a product keeps things by user; else "".
        parent_id: what it belongs to (a scanner, for a version); else "".
    """

    id: str
    kind: str
    project_id: str
    owner_id: str
    parent_id: str
    name: str
    body: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and where the next one begins (None: it was the last)."""

    items: tuple[Object, ...]
    next: str | None


class Objects:
    """Create, read, update, delete and list, always within a project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        project_id: str,
        kind: str,
        body: Mapping[str, Any],
        *,
        name: str = "",
        owner_id: str = "",
        parent_id: str = "",
        object_id: str = "",
    ) -> Object:
        """Keep a new document."""
        moment = now()
        made = Object(object_id or new_id(), kind, project_id, owner_id, parent_id, name, dict(body), moment, moment)
        values = {column.name: getattr(made, column.name) for column in objects.columns}
        with self._database.write() as connection:
            connection.execute(objects.insert().values(values))
        return made

    def get(self, project_id: str, kind: str, object_id: str, *, owner_id: str | None = None) -> Object | None:
        """The document, or None when this project (and owner, if given) has none such."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(objects).where(*_which(project_id, kind, object_id, owner_id))).first()
        return _object(row) if row else None

    def update(
        self,
        project_id: str,
        kind: str,
        object_id: str,
        body: Mapping[str, Any],
        *,
        name: str | None = None,
        owner_id: str | None = None,
    ) -> Object | None:
        """Replace the body (and name, if given); None when there is no such document."""
        values: dict[str, Any] = {"body": dict(body), "updated_at": now()}
        if name is not None:
            values["name"] = name
        where = _which(project_id, kind, object_id, owner_id)
        with self._database.write() as connection:
            connection.execute(objects.update().where(*where).values(values))
            row = connection.execute(sa.select(objects).where(*where)).first()
        return _object(row) if row else None

    def delete(self, project_id: str, kind: str, object_id: str, *, owner_id: str | None = None) -> bool:
        """Remove a document with its children; False when there is none such."""
        with self._database.write() as connection:
            done = connection.execute(objects.delete().where(*_which(project_id, kind, object_id, owner_id))).rowcount
            if done:
                children = objects.delete().where(objects.c.project_id == project_id, objects.c.parent_id == object_id)
                connection.execute(children)
        return bool(done)

    def list(
        self,
        project_id: str,
        kind: str,
        *,
        owner_id: str | None = None,
        parent_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page:
        """Documents in the order they were made.

        Args:
            project_id: whose.
            kind: of what kind.
            owner_id: only this owner's.
            parent_id: only this parent's.
            cursor: ``next`` of the page before.
            limit: how many at most.
            newest_first: the other way round.
        """
        column = objects.c
        query = sa.select(objects).where(column.project_id == project_id, column.kind == kind)
        if owner_id is not None:
            query = query.where(column.owner_id == owner_id)
        if parent_id is not None:
            query = query.where(column.parent_id == parent_id)
        if cursor:
            query = query.where(column.id < cursor if newest_first else column.id > cursor)
        query = query.order_by(column.id.desc() if newest_first else column.id).limit(limit + 1)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(_object(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit and items else None)

    def all(self, project_id: str, kind: str) -> Iterator[Object]:
        """Every document of a kind, in the order they were made."""
        cursor = None
        while True:
            page = self.list(project_id, kind, cursor=cursor, limit=_PAGE)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def named(self, project_id: str, kind: str, name: str) -> Object | None:
        """The first document of exactly this name."""
        column = objects.c
        where = column.project_id == project_id, column.kind == kind, column.name == name
        with self._database.read() as connection:
            row = connection.execute(sa.select(objects).where(*where).order_by(column.id).limit(1)).first()
        return _object(row) if row else None


def _which(project_id: str, kind: str, object_id: str, owner_id: str | None) -> list[sa.ColumnElement[bool]]:
    where = [objects.c.project_id == project_id, objects.c.kind == kind, objects.c.id == object_id]
    return where if owner_id is None else [*where, objects.c.owner_id == owner_id]


def _object(row: sa.Row[Any]) -> Object:
    return Object(**row._mapping)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its documented name
