"""Objects in contents, whatever the framework: structured output, text as bytes, dates, paths, what holds no text."""

from __future__ import annotations

import dataclasses
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

if TYPE_CHECKING:
    from guardrails_plugin.conversation import Walk
    from guardrails_plugin.types import Origin

__all__ = ["is_text", "walk_object"]

_TEXTLESS = (time, timedelta, Enum)
_WRITTEN = (date, Decimal, PurePath, UUID)
"""What is read as it is written, and stays what it is when there is nothing in it."""


def walk_object(value: Any, origin: Origin, walk: Walk) -> Any:
    """A copy of an object with its fields walked; NotImplemented for what has none. See `conversation.Foreign`."""
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        fields |= value.model_extra or {}
        copied = value.model_copy(update={name: walk(part, origin, name) for name, part in fields.items()})
        for name in set(vars(copied)) - fields.keys():
            # What was computed of the fields as they were is computed anew.
            if isinstance(getattr(type(value), name, None), cached_property):
                vars(copied).pop(name)
        return copied
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: walk(getattr(value, name), origin, name) for name in names})
    if isinstance(value, bytes) and is_text(value):
        return str(walk(value.decode(), origin, "")).encode()
    if isinstance(value, _TEXTLESS):
        return value
    if isinstance(value, _WRITTEN):
        return _unless_changed(value, str(value), origin, walk)
    # Scalars of numpy and the like, known by their looks: this package does without numpy here.
    item = getattr(value, "item", None)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "dtype") and callable(item):
        return _unless_changed(value, item(), origin, walk)
    return NotImplemented


def _unless_changed(value: Any, plain: Any, origin: Origin, walk: Walk) -> Any:
    new = walk(plain, origin, "")
    return value if new is plain or new == plain else new


def is_text(value: bytes) -> bool:
    """Whether bytes are UTF-8; images, sounds and archives are not."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
