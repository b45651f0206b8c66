"""The tool calls in a model's message, wherever it puts them: LlamaIndex's blocks, a provider's objects or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from pydantic import BaseModel

__all__ = ["BLOCKED_CALL", "CALLS", "REASONS", "Judge", "is_blocked", "with_calls"]

CALLS = ("tool_calls", "function_call")
"""Where providers put calls beside a message."""

BLOCKED_CALL = {"blocked_by_policy": True}
"""The arguments of a call that was refused. They say so themselves, since nothing else of a call goes all the way from
the model's message over events and memory to the tool, which answers with its refusal."""

Judge = Callable[[str, Any], tuple[str, Any]]
"""Takes the name and arguments of a call and gives those that may be seen."""

REASONS = "reasons"
"""Where beside that they say why: detectors and types."""

_NAMES = ("name", "tool_name")
_ARGUMENTS = ("args", "arguments", "input", "tool_kwargs")
_WRAPPERS = ("function", "functionCall", "function_call")
_UNREADABLE = object()


def is_blocked(arguments: Any) -> bool:
    """Whether these are the arguments of a call that was refused."""
    return isinstance(arguments, Mapping) and all(arguments.get(key) is value for key, value in BLOCKED_CALL.items())


def with_calls(message: ChatMessage, judge: Judge) -> ChatMessage:
    """A copy of a message with its calls judged. What cannot be read as a call is left out: it may say anything."""
    blocks = [_block(block, judge) if isinstance(block, ToolCallBlock) else block for block in message.blocks]
    extras = dict(message.additional_kwargs)
    for key in CALLS:
        if extras.get(key) is not None:
            extras[key] = _given(extras[key], judge)
    extras = {key: value for key, value in extras.items() if value is not _UNREADABLE}
    return message.model_copy(update={"blocks": blocks, "additional_kwargs": extras})


def _block(block: ToolCallBlock, judge: Judge) -> ToolCallBlock:
    name, arguments = _judged(block.tool_name, block.tool_kwargs, judge)
    return block.model_copy(update={"tool_name": name, "tool_kwargs": arguments})


def _given(value: Any, judge: Judge) -> Any:
    """Calls as a provider gives them: one, or a list."""
    if isinstance(value, (list, tuple)):
        return [call for call in (_given(one, judge) for one in value) if call is not _UNREADABLE]
    known = _fields(value)
    for wrapper in _WRAPPERS:
        if known.get(wrapper) is not None:
            inner = _given(known[wrapper], judge)
            return inner if inner is _UNREADABLE else _replaced(value, {wrapper: inner})
    named = next((key for key in _NAMES if isinstance(known.get(key), str)), None)
    holding = next((key for key in _ARGUMENTS if key in known), None)
    if named is None or holding is None:
        return _UNREADABLE
    name, arguments = _judged(known[named], known[holding], judge)
    return _replaced(value, {named: name, holding: arguments})


def _judged(name: str, arguments: Any, judge: Judge) -> tuple[str, Any]:
    """A call judged; arguments that are written as JSON stay so."""
    if not isinstance(arguments, str):
        return judge(name, arguments)
    try:
        opened = json.loads(arguments)
    except (ValueError, RecursionError):
        opened = arguments  # models write broken JSON
    name, judged = judge(name, opened)
    if judged == opened:
        return name, arguments
    return name, judged if isinstance(judged, str) else json.dumps(judged)


def _fields(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return {**{name: getattr(value, name) for name in type(value).model_fields}, **(value.model_extra or {})}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    return {}


def _replaced(value: Any, changes: dict[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {**value, **changes}
    return value.model_copy(update=changes) if isinstance(value, BaseModel) else dataclasses.replace(value, **changes)
