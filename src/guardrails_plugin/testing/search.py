"""Where in a value a canary stands: every string of it, wherever it is nested.

Data is walked part by part: mappings with their keys, sequences, pydantic models with extra and private fields,
dataclasses, exceptions with their arguments, notes and causes. Of anything else its ``repr`` and ``str`` are read, as a
log would. So are the parts of an application (models, tools, retrievers): what they are made of is no leak.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel

__all__ = ["places"]

_DEEPEST = 40
_PARTS = frozenset(
    "Runnable BaseLLM BaseEmbedding BaseRetriever BaseQueryEngine BaseChatEngine BaseTool BaseIndex Workflow"
    " TransformComponent BaseNodePostprocessor BaseSynthesizer CallbackManager BasePromptTemplate".split()
)
"""Names of the base classes of what applications are built of, in both frameworks."""


def places(value: Any, canaries: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Label and path of every canary in a value.

    Args:
        value: anything.
        canaries: what to look for, by label.

    Yields:
        The label, and where it stands (``.messages[].content``; indices are left out, keys never quote a canary).
    """
    yield from _Walk(canaries).walk(value, "", 0)


class _Walk:
    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._canaries = canaries
        self._open: set[int] = set()

    def walk(self, value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
        """Every canary at and below a value; an object that holds itself is entered once."""
        if isinstance(value, str):
            yield from self._text(value, path)
        elif isinstance(value, (bytes, bytearray)):
            yield from self._text(value.decode("utf-8", "replace"), path)
        elif value is not None and not isinstance(value, (bool, float)) and id(value) not in self._open:
            self._open.add(id(value))
            for name, part in _parts(value) if depth < _DEEPEST else _shown(value):
                yield from self.walk(part, path + name, depth + 1)
            self._open.discard(id(value))

    def _text(self, text: str, path: str) -> Iterator[tuple[str, str]]:
        for label, canary in self._canaries.items():
            if canary in text:
                yield label, self._safe(path)

    def _safe(self, path: str) -> str:
        for canary in self._canaries.values():
            path = path.replace(canary, "[key]")
        return path


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from _entries(value)
    elif isinstance(value, (list, tuple, AbstractSet)):
        yield from (("[]", item) for item in value)
    elif isinstance(value, BaseException):
        yield from _failure(value)
    elif isinstance(value, type) or _PARTS & {base.__name__ for base in type(value).__mro__}:
        yield from _shown(value)
    elif isinstance(value, BaseModel):
        for fields in (value.__dict__, value.__pydantic_extra__, value.__pydantic_private__):
            yield from ((f".{name}", part) for name, part in (fields or {}).items())
    elif dataclasses.is_dataclass(value):
        yield from ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))
    else:
        yield from _shown(value)


def _entries(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = str(key) if isinstance(key, (str, int)) else "key"
        yield "[key]", key
        yield (f".{name}" if name.isidentifier() else "[]" if isinstance(key, int) else f"[{name}]"), item


def _failure(error: BaseException) -> Iterator[tuple[str, Any]]:
    yield from _shown(error)
    yield ".args", error.args
    yield ".__notes__", getattr(error, "__notes__", ())
    yield from ((f".{name}", part) for name, part in vars(error).items())
    # The context too, even one that `from None` keeps out of the traceback: it is still there for who looks.
    yield ".__cause__", error.__cause__
    yield ".__context__", error.__context__
    yield ".exceptions", getattr(error, "exceptions", ())


def _shown(value: Any) -> Iterator[tuple[str, Any]]:
    for name, show in (("repr", repr), ("str", str)):
        try:
            yield f" {name}", show(value)
        except Exception:  # noqa: BLE001, S112 - what cannot be shown shows nothing
            continue
