"""What may be said of arguments that do not fit a tool's schema: which field, and what it should be.

Pydantic quotes what it was given, validators what they please.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

__all__ = ["explained", "field_names", "without_values"]

_KNOWN = frozenset(get_args(ErrorType))
_QUOTING = frozenset({"error", "tag", "attribute", "encoding_error", "tz_actual"})
"""What of an error's context is made of the value."""

_KIND = re.compile(r"[a-z_.]{1,60}")
_HIDDEN = "..."


def without_values(error: Any, fields: Container[str]) -> ValidationError:
    """The error without a word of the values.

    Args:
        error: a ValidationError, of pydantic 1 too.
        fields: names that may be said; others may be data.
    """
    title = str(getattr(error, "title", "") or "arguments")
    lines = [
        InitErrorDetails(
            # Braces would be taken for places to be filled in.
            type=PydanticCustomError(_kind(one), "{said}", {"said": _said(one)}),
            loc=tuple(part if isinstance(part, int) or part in fields else _HIDDEN for part in one["loc"]),
            input=None,
        )
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(title, lines, hide_input=True)


def explained(error: ValidationError) -> str:
    """The lines of an error without values, as a model may read them."""
    lines = (f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors())
    return f"The arguments are not valid: {'; '.join(lines)}."


def field_names(schema: Any) -> frozenset[str]:
    """All names of fields in a JSON schema, those of the objects in it too."""
    return frozenset(_names(schema))


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            yield from (str(name) for name in properties)
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _names(part)


def _kind(one: Mapping[str, Any]) -> Any:
    kind = str(one["type"])
    return kind if _KIND.fullmatch(kind) else "invalid"


def _said(one: Mapping[str, Any]) -> str:
    """What is wrong, as pydantic says it where that is made of the schema only."""
    context: Mapping[str, Any] = one.get("ctx") or {}
    message = str(one["msg"])
    if one["type"] in _KNOWN and _QUOTING.isdisjoint(context):
        return message
    quoted = str(context.get("error", ""))
    if one["type"] in _KNOWN and quoted and message.endswith(quoted):
        return message[: -len(quoted)].rstrip(" ,:")
    return f"not valid ({_kind(one)})"
