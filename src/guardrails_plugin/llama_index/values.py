"""LlamaIndex objects and where their text is: messages and their blocks, nodes, responses, structured output.

`walker` copies an object part by part for `conversation`; nothing that came in is changed. Whoever speaks gives the
origin: system messages are the developer's, tool messages, nodes and citations come from outside.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from io import IOBase
from pathlib import PurePath
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.schema import BaseNode, NodeWithScore
from pydantic import AnyUrl

from guardrails_plugin import objects
from guardrails_plugin.conversation import Foreign, Walk, segments
from guardrails_plugin.errors import ContentError
from guardrails_plugin.llama_index.nodes import walk_node
from guardrails_plugin.objects import is_text
from guardrails_plugin.types import Origin

__all__ = ["guardable", "origin_of", "walker"]

_ORIGINS = {
    MessageRole.SYSTEM: Origin.SYSTEM,
    MessageRole.DEVELOPER: Origin.SYSTEM,
    MessageRole.USER: Origin.USER,
    MessageRole.ASSISTANT: Origin.MODEL,
    MessageRole.CHATBOT: Origin.MODEL,
    MessageRole.MODEL: Origin.MODEL,
    MessageRole.FUNCTION: Origin.EXTERNAL,
    MessageRole.TOOL: Origin.EXTERNAL,
}
_STRUCTURAL = frozenset({"tool_call_id", "call_id", "id", "type", "finish_reason", "stop_reason", "model"})
_CALLS = frozenset({"tool_calls", "function_call"})
_OPAQUE = (bytes, bytearray, IOBase, PurePath, AnyUrl)
"""Media and where to find them: left as they are."""
_MEDIA = (ImageBlock, AudioBlock, VideoBlock, CachePoint)


def walker(*, tool_calls: bool = True) -> Foreign:
    """What `conversation.segments` needs to walk LlamaIndex objects.

    Args:
        tool_calls: whether the arguments of a model's tool calls are guarded here. Not at the response stage:
            there they would be changed before the pre_tool guard, and the tool, see them.
    """

    def walk_object(value: Any, origin: Origin, walk: Walk) -> Any:
        if isinstance(value, ChatMessage):
            return _message(value, origin, walk, tool_calls=tool_calls)
        if isinstance(value, BaseContentBlock):
            return _block(value, origin, walk, tool_calls=tool_calls)
        if isinstance(value, NodeWithScore):
            return value.model_copy(update={"node": walk(value.node, origin, "")})
        if isinstance(value, BaseNode):
            return walk_node(value, walk)
        known = objects.walk_object(value, origin, walk)
        return value if known is NotImplemented and isinstance(value, _OPAQUE) else known

    return walk_object


def origin_of(message: ChatMessage, default: Origin) -> Origin:
    """Who wrote a message."""
    return _ORIGINS.get(message.role, default)


def guardable(extras: dict[str, Any]) -> dict[str, Any]:
    """The entries that can be guarded; objects of a provider may quote anything, so they are left out."""
    return {key: value for key, value in extras.items() if _walks(value)}


def _walks(value: object) -> bool:
    try:
        segments(value, Origin.MODEL, walker())
    except ContentError:
        return False
    return True


def _message(message: ChatMessage, default: Origin, walk: Walk, *, tool_calls: bool) -> ChatMessage:
    origin = origin_of(message, default)
    blocks = [walk(block, origin, "") for block in message.blocks]
    extras = {
        key: value
        if key in _STRUCTURAL or (key in _CALLS and not tool_calls)
        else walk(value, Origin.MODEL if key in _CALLS else origin, key)
        for key, value in message.additional_kwargs.items()
    }
    return message.model_copy(update={"blocks": blocks, "additional_kwargs": extras})


def _block(block: BaseContentBlock, origin: Origin, walk: Walk, *, tool_calls: bool) -> Any:
    if isinstance(block, TextBlock):
        return block.model_copy(update={"text": walk(block.text, origin, "")})
    if isinstance(block, ThinkingBlock):
        return _thinking(block, walk)
    if isinstance(block, ToolCallBlock):
        new = walk(block.tool_kwargs, Origin.MODEL, block.tool_name) if tool_calls else block.tool_kwargs
        return block.model_copy(update={"tool_kwargs": new})
    if isinstance(block, CitableBlock):
        content = [walk(part, Origin.EXTERNAL, "") for part in block.content]
        return block.model_copy(update={"content": content, **_named(block, walk)})
    if isinstance(block, CitationBlock):
        cited = walk(block.cited_content, Origin.EXTERNAL, "")
        return block.model_copy(update={"cited_content": cited, **_named(block, walk)})
    if isinstance(block, DocumentBlock):
        return _document(block, walk)
    return block if isinstance(block, _MEDIA) else NotImplemented


def _thinking(block: ThinkingBlock, walk: Walk) -> ThinkingBlock:
    content = walk(block.content, Origin.MODEL, "")
    if content == block.content:
        return block
    # The provider's signature is of what was just replaced.
    return block.model_copy(update={"content": content, "additional_information": {}})


def _named(block: CitableBlock | CitationBlock, walk: Walk) -> dict[str, Any]:
    return {"title": walk(block.title, Origin.EXTERNAL, ""), "source": walk(block.source, Origin.EXTERNAL, "")}


def _document(block: DocumentBlock, walk: Walk) -> DocumentBlock:
    title = walk(block.title, Origin.EXTERNAL, "")
    raw = _bytes(block.data)
    if not raw or not is_text(raw):
        return block.model_copy(update={"title": title})
    text = raw.decode()
    new = walk(text, Origin.EXTERNAL, "")
    data = block.data if new == text else b64encode(str(new).encode())
    return block.model_copy(update={"title": title, "data": data})


def _bytes(data: bytes | IOBase | None) -> bytes:
    """What a document block holds: LlamaIndex keeps bytes as base64, and files as they are."""
    if isinstance(data, bytes):
        try:
            return b64decode(data, validate=True)
        except ValueError:
            return data
    if data is None or not data.seekable():
        return b""
    data.seek(0)
    raw: bytes | str = data.read()
    data.seek(0)
    return raw.encode() if isinstance(raw, str) else raw
