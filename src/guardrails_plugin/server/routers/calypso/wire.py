"""CalypsoAI on the wire: camelCase bodies, pages with cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.problems import invalid

__all__ = [
    "PREFIX",
    "Cursor",
    "Described",
    "Direction",
    "Done",
    "Failed",
    "Id",
    "Limit",
    "Made",
    "Name",
    "Ref",
    "Search",
    "Wire",
    "cut",
    "moment",
]

PREFIX = "/backend/v1"

# PostgreSQL keeps no NUL.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Ref = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
"""An id, or a name where one will do."""
Described = Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]
Direction = Literal["request", "response", "both"]

Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=200)]
Search = Annotated[str | None, Query(max_length=200)]


class Wire(BaseModel):
    """camelCase outside, snake_case inside; keys we do not know are ignored, since clients are newer or older."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Made(Wire):
    """The id of what was made."""

    id: str


class Done(Wire):
    """What was done."""

    message: str


class Failed(BaseModel):
    """An error: a sentence, or one entry per mistake in the body."""

    detail: str | list[dict[str, Any]]


def moment(value: datetime | str) -> str:
    """A time as ISO 8601 with Z."""
    return value if isinstance(value, str) else iso(value)


def cut(key: str, items: Sequence[Mapping[str, Any]], cursor: str | None, limit: int) -> dict[str, Any]:
    """One page of a list.

    Args:
        key: what the list is called.
        items: all of them, in an order that does not change.
        cursor: ``next`` or ``prev`` of another page.
        limit: items on a page.

    Returns:
        ``{key: [...], "next": cursor or None, "prev": cursor or None}``.

    Raises:
        ApiError: 400, the cursor is none of ours.
    """
    start = _row(cursor)
    end = start + limit
    return {
        key: list(items[start:end]),
        "next": _cursor(end) if end < len(items) else None,
        "prev": _cursor(max(0, start - limit)) if start else None,
    }


def _cursor(row: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"row": row}).encode()).decode()


def _row(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        row = json.loads(base64.urlsafe_b64decode(cursor))["row"]
    except (ValueError, KeyError, TypeError):
        row = None
    if not isinstance(row, int) or row < 0:
        raise invalid("cursor: expected the value of next or prev of another page.")
    return row
