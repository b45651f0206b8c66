"""LangChain objects and where their text is: messages, prompt values, documents, structured output.

`walk_object` copies an object part by part for `conversation`; nothing that came in is changed. Whoever speaks gives
the origin: system messages are the developer's, tool messages and documents come from outside.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from pydantic import BaseModel

from guardrails_plugin import objects
from guardrails_plugin.conversation import ROLES, Foreign, Walk
from guardrails_plugin.langchain.metadata import guarded_metadata
from guardrails_plugin.types import Origin

__all__ = ["origin_of", "walker"]

_ORIGINS: tuple[tuple[type[BaseMessage], Origin], ...] = (
    (HumanMessage, Origin.USER),
    (AIMessage, Origin.MODEL),
    (SystemMessage, Origin.SYSTEM),
    (ToolMessage, Origin.EXTERNAL),
    (FunctionMessage, Origin.EXTERNAL),
)


def walker(*, tool_calls: bool) -> Foreign:
    """What `conversation.segments` needs to walk LangChain objects.

    Args:
        tool_calls: whether the arguments of a model's tool calls are guarded here. Not at the response stage:
            there they would be changed before the pre_tool guard, and the tool, see them.
    """

    def walk_object(value: Any, origin: Origin, walk: Walk) -> Any:
        if isinstance(value, BaseMessage):
            return _message(value, origin, walk, tool_calls=tool_calls)
        if isinstance(value, ChatPromptValue):
            return ChatPromptValue(messages=[walk(message, origin, "") for message in value.messages])
        if isinstance(value, StringPromptValue):
            return StringPromptValue(text=walk(value.text, origin, ""))
        if isinstance(value, Document):
            metadata = walk(value.metadata, Origin.EXTERNAL, "metadata")
            return value.model_copy(
                update={"page_content": walk(value.page_content, Origin.EXTERNAL, ""), "metadata": metadata}
            )
        if isinstance(value, tuple) and len(value) == 2 and value[0] in ROLES:
            return (value[0], walk(value[1], ROLES[value[0]], ""))
        return objects.walk_object(value, origin, walk)

    return walk_object


def origin_of(message: BaseMessage, default: Origin) -> Origin:
    """Who wrote a message."""
    if isinstance(message, ChatMessage):
        return ROLES.get(message.role, default)
    return next((origin for kind, origin in _ORIGINS if isinstance(message, kind)), default)


def _message(message: BaseMessage, default: Origin, walk: Walk, *, tool_calls: bool) -> BaseMessage:
    origin = origin_of(message, default)
    content = walk(message.content, origin, "")
    update: dict[str, Any] = {"content": content}
    if message.name and not isinstance(message, (ToolMessage, FunctionMessage)):
        update["name"] = walk(message.name, origin, "name")
    if isinstance(message, AIMessage):
        update |= _calls(message, walk, tool_calls=tool_calls)
        update["additional_kwargs"] = _extras(message, walk, tool_calls=tool_calls)
    elif message.additional_kwargs:
        update["additional_kwargs"] = walk(message.additional_kwargs, origin, "")
    if message.response_metadata:
        metadata = guarded_metadata(message.response_metadata, walk, origin)
        if content != message.content:
            # They spell the text that was just replaced.
            metadata.pop("logprobs", None)
        update["response_metadata"] = metadata
    if isinstance(message, ToolMessage) and _has_parts(message.artifact):
        update["artifact"] = walk(message.artifact, origin, "")
    return message.model_copy(update=update)


def _calls(message: AIMessage, walk: Walk, *, tool_calls: bool) -> dict[str, Any]:
    """Arguments stand in up to three places of a message; all must say the same."""
    calls: list[Any] = message.tool_calls
    if tool_calls:
        calls = [{**call, "args": walk(call["args"], Origin.MODEL, call["name"])} for call in calls]
    # No tool is called with these, so no guard of another stage sees them.
    invalid: list[Any] = [
        {**call, **{part: walk(call[part], Origin.MODEL, "") for part in ("args", "error") if call.get(part)}}
        for call in message.invalid_tool_calls
    ]
    update: dict[str, Any] = {"tool_calls": calls, "invalid_tool_calls": invalid}
    if isinstance(message, AIMessageChunk) and (calls, invalid) != (message.tool_calls, message.invalid_tool_calls):
        parts = [{**c, "args": json.dumps(c["args"])} for c in calls] + invalid
        update["tool_call_chunks"] = [
            {"type": "tool_call_chunk", "name": c["name"], "args": c["args"], "id": c["id"], "index": i}
            for i, c in enumerate(parts)
        ]
    return update


def _extras(message: AIMessage, walk: Walk, *, tool_calls: bool) -> dict[str, Any]:
    calls = ("tool_calls", "function_call")
    extras = {key: value for key, value in message.additional_kwargs.items() if tool_calls or key not in calls}
    kept = {key: value for key, value in message.additional_kwargs.items() if key not in extras}
    return {**walk(extras, Origin.MODEL, ""), **kept}


def _has_parts(artifact: Any) -> bool:
    """True for artifacts that text can be found in; images and sounds, say, pass as they are."""
    known = isinstance(artifact, (str, dict, list, tuple, BaseModel)) or (
        isinstance(artifact, bytes) and objects.is_text(artifact)
    )
    return known or (dataclasses.is_dataclass(artifact) and not isinstance(artifact, type))
