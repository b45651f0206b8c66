"""Contents in and out: plain strings, provider messages and any JSON, by one traversal.

`segments` collects every string with its origin; `substitute` puts new strings in their places. The shape stays:
same keys, same order, same types, no input object is changed. Recognised messages (OpenAI, Anthropic, Gemini and
anything with a ``role``) give their strings the origin of the role; tool results count as external whoever sends
them, and what is external stays so, whatever roles it claims. Ids and enumerations of messages and binary media are
left alone while their values look like it; see `structural`.

Long numbers are guarded as text (an SSN may be an integer), in the fields of tool calls short ones too (an amount);
one that is rewritten becomes a string. The strings of a tool call know which argument of which tool they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

from guardrails_plugin import structural
from guardrails_plugin.errors import ContentError
from guardrails_plugin.objects import walk_object
from guardrails_plugin.types import CallPart, Origin, Segment

__all__ = ["MAX_DEPTH", "ROLES", "Foreign", "Walk", "called", "pointers", "segments", "substitute"]

MAX_DEPTH = 100
"""Deepest nesting of lists and objects that is guarded; real payloads stay under 20."""

ROLES = {
    "system": Origin.SYSTEM,
    "developer": Origin.SYSTEM,
    "user": Origin.USER,
    "human": Origin.USER,
    "assistant": Origin.MODEL,
    "model": Origin.MODEL,
    "ai": Origin.MODEL,
    "tool": Origin.EXTERNAL,
    "tools": Origin.EXTERNAL,
    "function": Origin.EXTERNAL,
}
"""Who speaks, by the ``role`` of OpenAI, Anthropic, Gemini and LangChain messages."""

_FIELDS = {
    "system_instruction": Origin.SYSTEM,
    "systemInstruction": Origin.SYSTEM,
    "functionResponse": Origin.EXTERNAL,
    "function_response": Origin.EXTERNAL,
    "functionCall": Origin.MODEL,
    "function_call": Origin.MODEL,
    "tool_calls": Origin.MODEL,
}
_BLOCKS = {
    "tool_result": Origin.EXTERNAL,
    "function_call_output": Origin.EXTERNAL,
    "tool_use": Origin.MODEL,
    "function_call": Origin.MODEL,
}
_MESSAGE_KEYS = frozenset({"content", "parts", "tool_calls", "tool_call_id"})
_LONG_NUMBER = 10**6

_Visit = Callable[[Segment], str]

Walk = Callable[[Any, Origin, str], Any]
"""Walks a part of a foreign object: value, origin, name of its field; returns the part's new form."""

Foreign = Callable[[Any, Origin, Walk], Any]
"""An adapter's say on objects of its framework: a copy with its parts walked, or NotImplemented."""


def segments(content: object, default: Origin, foreign: Foreign | None = None) -> list[Segment]:
    """Every string of a content, in order of appearance.

    Args:
        content: a string, a `Segment`, or JSON (dict, list, tuple, numbers, None) nesting them.
        default: origin of strings that no message or segment gives one.
        foreign: asked first about everything that is not a string; walks objects of a framework. By default
            `objects.walk_object`.

    Raises:
        ContentError: a value of another type (the message says where), or nesting deeper than `MAX_DEPTH`.
    """
    if isinstance(content, str):
        return [Segment(content, default)]
    found: list[Segment] = []

    def collect(segment: Segment) -> str:
        found.append(segment)
        return segment.text

    _walked(content, default, collect, foreign)
    return found


def substitute(content: object, texts: Sequence[str], foreign: Foreign | None = None) -> Any:
    """A copy of the content with its strings replaced, in the order `segments` (same ``foreign``) gave them.

    Raises:
        ContentError: two keys of one object became equal.
    """
    if isinstance(content, str):
        return texts[0]
    waiting: Iterator[str] = iter(texts)

    def take(_segment: Segment) -> str:
        return next(waiting)

    return _walked(content, Origin.USER, take, foreign)


def pointers(content: object, default: Origin) -> list[str]:
    """Where each string of `segments` stands, as a JSON pointer; a key that may be data is ``*``.

    >>> pointers({"messages": [{"role": "user", "content": "hi"}]}, Origin.USER)
    ['/messages/0/content']
    """
    found: list[str] = []

    def collect(segment: Segment) -> str:
        found.append("".join(f"/{_step(step)}" for step in walker.steps))
        return segment.text

    walker = _Walker(collect, walk_object)
    walker.walk(content, default)
    return found


class _UnreadableError(Exception):
    """A value of this type cannot be guarded."""


def _walked(content: object, default: Origin, visit: _Visit, foreign: Foreign | None) -> Any:
    walker = _Walker(visit, foreign or walk_object)
    try:
        return walker.walk(content, default)
    except _UnreadableError as error:
        steps = (f"[{step}]" if isinstance(step, int) else f".{_step(step)}" for step in walker.steps)
        place = "".join(steps).lstrip(".")
        raise ContentError(
            f"{place}{': ' if place else ''}content of type {str(error)!r} cannot be guarded; valid: str, Segment,"
            " dict, list, tuple, set, int, float, bool, None, pydantic models, dataclasses, dates, paths, UUIDs"
            " (decode other bytes, dump other objects to JSON first)"
        ) from None


def _step(step: str | int) -> str:
    """A field or an index as it may be shown: a key that may be data is not."""
    return str(step) if isinstance(step, int) or structural.is_field_name(step) else "*"


class _Walker:
    """Copies a content, showing every string to ``visit`` and taking what it returns."""

    def __init__(self, visit: _Visit, foreign: Foreign) -> None:
        self._visit = visit
        self._foreign = foreign
        self._part: CallPart | None = None
        """The tool call and argument that is being walked."""
        self._message = False
        """Whether this is inside a message, but not in what it quotes from outside."""
        self._columns: Sequence[str] = ()
        """What heads the columns of the rows that are walked next."""
        self.steps: list[str | int] = []
        """Fields and indexes from the content down to what is being walked; left there by an error."""

    def walk(self, value: Any, origin: Origin, hint: str = "", depth: int = 0) -> Any:
        if isinstance(value, str):
            return self._visit(Segment(value, origin, hint, self._part))
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._number(value, origin, hint)
        if depth >= MAX_DEPTH:
            raise ContentError(f"content is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Segment):
            return self._visit(Segment(value.text, value.origin, value.hint or hint, value.part or self._part))
        if self._foreign is walk_object and isinstance(value, (dict, list, tuple)):
            return self._nested(value, origin, hint, depth)

        def walk(part: Any, who: Origin, name: str) -> Any:
            self.steps += [name] if name else []
            new = self.walk(part, who, name or hint, depth + 1)
            if name:
                self.steps.pop()
            return new

        own = self._foreign(value, origin, walk)
        return self._nested(value, origin, hint, depth) if own is NotImplemented else own

    def _nested(self, value: Any, origin: Origin, hint: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._object(value, origin, hint, depth)
        if isinstance(value, (list, tuple)):
            items = self._items(value, origin, hint, depth)
            return items if isinstance(value, list) else _like(value, items)
        if isinstance(value, (set, frozenset)):
            return type(value)(self._items(value, origin, hint, depth))
        raise _UnreadableError(type(value).__name__)

    def _items(self, values: Iterable[Any], origin: Origin, hint: str, depth: int) -> list[Any]:
        items: list[Any] = []
        names, first = (self._columns, 0) if self._columns else (_headings(values), 1)
        self._columns = ()
        for item in values:
            self.steps.append(len(items))
            in_row = names and len(items) >= first and isinstance(item, (list, tuple))
            walk = self._row(names) if in_row else self.walk
            items.append(walk(item, origin, hint, depth + 1))
            self.steps.pop()
        return items

    def _row(self, names: Sequence[str]) -> Callable[[Any, Origin, str, int], Any]:
        """Walks a row of a table: what heads a column is the field of its cells."""

        def walk(row: Sequence[Any], origin: Origin, hint: str, depth: int) -> Any:
            hints = (f"{hint[-32:]}/{_words(name)}".lstrip("/") for name in chain(names, repeat("")))
            cells = [self.walk(cell, origin, own, depth + 1) for cell, own in zip(row, hints, strict=False)]
            return cells if isinstance(row, list) else _like(tuple(row), cells)

        return walk

    def _number(self, value: float, origin: Origin, hint: str, least: int = _LONG_NUMBER) -> float | str:
        if abs(value) < least:
            return value
        # Not its own repr: numpy's numbers and enumerations have names in theirs.
        text = float.__repr__(value) if isinstance(value, float) else int.__repr__(value)
        new = self._visit(Segment(text, origin, hint, self._part))
        return value if new == text else new

    def _object(self, value: Mapping[Any, Any], origin: Origin, hint: str, depth: int) -> dict[Any, Any]:
        outer = self._message
        inside = self._part is None and (outer or _is_message(value))
        origin = _speaker(value, origin)
        self._message = inside and origin is not Origin.EXTERNAL
        call = None if self._part else _call(value)
        linked = inside or call is not None or _is_link(value)
        new: dict[Any, Any] = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else ""
            if (linked and structural.is_id(name, item, links_only=not inside)) or structural.is_closed(value, name):
                kept, guarded = key, item
            else:
                kept = self._key(key, origin, hint)
                own = _own_origin(value, name, origin)
                self._columns = _names(value.get("columns")) if name in _ROWS else ()
                guarded = self._field((name, item), call, own, f"{hint[-32:]}/{_label(value, name)}".lstrip("/"), depth)
            if kept in new:
                raise ContentError("two keys of one object became equal when they were guarded")
            new[kept] = guarded
        self._message, self._columns = outer, ()
        return new

    def _key(self, key: Any, origin: Origin, hint: str) -> Any:
        """The guarded key: any that is more than an ordinary field name may be data."""
        if isinstance(key, str):
            return key if structural.is_field_name(key) else self._visit(Segment(key, origin, hint, self._part))
        return self.walk(key, origin, hint)

    def _field(self, field: tuple[str, Any], call: CallPart | None, origin: Origin, hint: str, depth: int) -> Any:
        """The guarded value of a field; what stands in a call knows its place in it."""
        name, item = field
        outer = self._part
        if outer is not None:
            self._part = replace(outer, argument=f"{outer.argument}.{name}".lstrip("."))
        elif call is not None and (name == "name" or name in _ARGUMENTS):
            self._part = call if name == "name" else replace(call, argument="")
        short = outer is not None and isinstance(item, (int, float)) and not isinstance(item, bool)
        self.steps.append(name)
        new = self._number(item, origin, hint, least=0) if short else self.walk(item, origin, hint, depth + 1)
        self.steps.pop()
        self._part = outer
        return new


_ROWS = frozenset({"data", "rows", "values"})
"""Where tables keep their rows, beside ``columns``."""
_MOST_COLUMNS = 200


def _headings(rows: Iterable[Any]) -> tuple[str, ...]:
    """The first of several rows when it holds nothing but names."""
    if not isinstance(rows, list) or len(rows) < 2 or not isinstance(rows[1], (list, tuple)):
        return ()
    names = _names(rows[0])
    return names if len(names) == len(rows[1]) else ()


def _names(row: object) -> tuple[str, ...]:
    if not isinstance(row, (list, tuple)) or not 1 < len(row) <= _MOST_COLUMNS:
        return ()
    named = all(isinstance(name, str) and structural.is_field_name(name[:_LABEL]) for name in row)
    return tuple(row) if named else ()


def called(content: object) -> CallPart | None:
    """Which tool a content calls, when it is a tool call of any provider; its ``argument`` is None.

    >>> called({"name": "pay", "args": {"amount": 5}}).tool
    'pay'
    """
    if not isinstance(content, Mapping):
        return None
    inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    return _call(inner)


_ARGUMENTS = frozenset({"args", "arguments", "input"})
"""Where LangChain and Gemini, OpenAI and MCP, Anthropic keep the arguments of a call, beside its ``name``."""
_WRAPPERS = ("function", "functionCall", "function_call")


def _call(value: Mapping[Any, Any]) -> CallPart | None:
    name = value.get("name")
    if not isinstance(name, str) or not name:
        return None
    given = [value[key] for key in _ARGUMENTS if key in value]
    if len(given) != 1:
        return None
    arguments = _opened(given[0])
    return None if arguments is None else CallPart(name, None, _fingerprint(name, arguments))


def _opened(arguments: object) -> Mapping[Any, Any] | None:
    """Arguments as an object, also when they are written as JSON; None when they are neither."""
    if isinstance(arguments, str) and arguments.lstrip()[:1] == "{":
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return {"": arguments}  # a call all the same: models write broken JSON
    return arguments if isinstance(arguments, Mapping) else None


def _fingerprint(name: str, arguments: Mapping[Any, Any]) -> str:
    try:
        content = json.dumps([name, arguments], sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):  # keys of several types, a cycle, too deep
        content = f"{name} {type(arguments).__name__} {len(arguments)}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _words(name: str) -> str:
    """A field name in lower-case words: ``customerSsn`` says "customer ssn"."""
    return _HUMP.sub(" ", name[:48]).lower()


def _label(value: Mapping[Any, Any], name: str) -> str:
    """The words of a field's name, or of the name that ``{"name": "DB_PASSWORD", "value": ...}`` gives it."""
    if name == "value":
        named = value.get("name") or value.get("key")
        name = named if isinstance(named, str) and structural.is_field_name(named[:_LABEL]) else name
    return _words(name)


_LABEL = 16
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _like(value: tuple[Any, ...], items: list[Any]) -> tuple[Any, ...]:
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def _is_message(value: Mapping[Any, Any]) -> bool:
    return str(value.get("role")) in ROLES and not _MESSAGE_KEYS.isdisjoint(value)


def _is_link(value: Mapping[Any, Any]) -> bool:
    """Whether it is one end of a call and its result, outside of any message."""
    return str(value.get("type")) in _BLOCKS or isinstance(value.get("function"), Mapping)


def _speaker(value: Mapping[Any, Any], origin: Origin) -> Origin:
    """Who wrote what stands in an object; what came from outside cannot say that it did not."""
    if origin is Origin.EXTERNAL:
        return origin
    spoken = ROLES.get(str(value.get("role"))) if _is_message(value) else None
    return spoken or _BLOCKS.get(str(value.get("type")), origin)


def _own_origin(value: Mapping[Any, Any], name: str, origin: Origin) -> Origin:
    if origin is Origin.EXTERNAL:
        return origin
    if name == "system" and "messages" in value:
        return Origin.SYSTEM
    if name == "tools" and ("messages" in value or "contents" in value):
        return Origin.EXTERNAL
    return _FIELDS.get(name, origin)
