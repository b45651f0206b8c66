"""The part of JSONPath (RFC 9535) that names fields.

``$``, ``.name``, ``['name']``, ``[2]``, ``[*]``, ``.*`` and ``..name``.
Filters, slices and expressions are refused: redaction needs places, not queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from guardrails_plugin.conversation import MAX_DEPTH

__all__ = ["Place", "at", "places", "put"]

Place = tuple[str | int, ...]
"""Keys and indexes from the root down."""

_STEP = re.compile(
    r"""(?P<deep>\.\.)?\.?(?:(?P<name>[^\s.\[\]'"*?()@:,]+)|(?P<any>\*)"""
    r"""|\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<index>-?\d{1,9})|(?P<all>\*))\])"""
)
_LONGEST = 1024


def places(path: str, data: Any) -> list[Place]:
    """Where a path points, in order.

    Raises:
        ValueError: it is none, or has what is not supported.
    """
    if not path.startswith("$") or len(path) > _LONGEST:
        raise ValueError("expected a JSONPath that begins with $")
    found: list[Place] = [()]
    at_ = 1
    while at_ < len(path):
        step = _STEP.match(path, at_)
        if step is None or (step["name"] and path[at_] != "."):
            raise ValueError(f"step {at_} of the path is not supported: use names, indexes, * and ..")
        bases = [base for one in found for base in (_below(one, data) if step["deep"] else (one,))]
        found = list(dict.fromkeys(place for base in bases for place in _taken(step, base, at(data, base))))
        at_ = step.end()
    return found


def at(data: Any, place: Place) -> Any:
    """What stands there."""
    for key in place:
        data = data[key]
    return data


def put(data: Any, values: Mapping[Place, Any]) -> Any:
    """A copy of the data with other values in some places; what is not on the way to one of them is shared.

    Args:
        data: any JSON.
        values: by place; none within another.
    """
    root: dict[Any, Any] = {"": data}
    copied: dict[Place, Any] = {(): root}
    for place, value in values.items():
        here, path = root, ("", *place)
        for depth, key in enumerate(path[:-1], 1):
            if path[:depth] not in copied:
                copied[path[:depth]] = here[key] = _copy(here[key])
            here = copied[path[:depth]]
        here[path[-1]] = value
    return root[""]


def _copy(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)


def _taken(step: re.Match[str], base: Place, value: Any) -> Iterator[Place]:
    if step["any"] or step["all"]:
        yield from (place for place, _ in _children(base, value))
    elif step["index"] is not None:
        if isinstance(value, list) and -len(value) <= int(step["index"]) < len(value):
            yield (*base, int(step["index"]) % len(value))
    else:
        name = next(part for part in (step["name"], step["single"], step["double"]) if part is not None)
        if isinstance(value, Mapping) and name in value:
            yield (*base, name)


def _below(base: Place, data: Any) -> Iterator[Place]:
    """This place and all below it."""
    waiting: list[Place] = [base]
    while waiting:
        place = waiting.pop()
        yield place
        if len(place) < MAX_DEPTH:
            waiting += [child for child, _ in reversed(_children(place, at(data, place)))]


def _children(base: Place, value: Any) -> Sequence[tuple[Place, Any]]:
    if isinstance(value, Mapping):
        return [((*base, key), item) for key, item in value.items()]
    if isinstance(value, list):
        return [((*base, index), item) for index, item in enumerate(value)]
    return []
