"""The contents that Pangea's clients send: a text, messages, messages in an object, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.server.routers.pangea.result import compact
from guardrails_plugin.types import Origin

__all__ = ["Given", "given"]

_LARGEST = 20 * 1024
"""Bytes of text that AI Guard takes."""

_SCHEMAS = ("messages", "contents", "input")
"""Where OpenAI and Anthropic, Gemini, OpenAI's Responses keep messages in an object."""


@dataclass(frozen=True, slots=True)
class Given:
    """What to check, and how to give it back.

    Attributes:
        content: for the engine.
        is_text: it goes back as ``prompt_text``.
    """

    content: Any = field(repr=False)
    is_text: bool

    def back(self, output: object) -> dict[str, Any]:
        """The checked content, under the key that clients look for.

        What is blocked goes back as it came: clients that ignore ``blocked`` take an empty text for none at all.
        """
        kept = self.content if output is None else output
        if self.is_text:
            return {"prompt_text": kept}
        return {"prompt_messages": [_message(item) for item in kept] if isinstance(kept, list) else kept}


def given(text: str | None, messages: Any) -> Given:
    """The content of a request.

    Raises:
        ApiError: 400, there is none, or two, or too much.
    """
    if text is not None and messages is not None:
        raise faulty("/messages", "Give exactly one of text and messages.", "MutuallyExclusive")
    if text is None and messages is None:
        raise faulty("/text", "Give exactly one of text and messages.", "MustProvideOne")
    if text is not None:
        return _bounded(Given(text, is_text=True), "/text")
    if isinstance(messages, str):
        return _bounded(Given(messages, is_text=True), "/messages")
    recognised = _is_messages(messages) or (isinstance(messages, Mapping) and _is_wrapped(messages))
    content = messages if recognised else compact(messages)
    return _bounded(Given(content, is_text=not recognised), "/messages")


def _bounded(content: Given, source: str) -> Given:
    texts = conversation.segments(content.content, Origin.USER)
    if sum(len(segment.text.encode("utf-8", "surrogatepass")) for segment in texts) > _LARGEST:
        raise faulty(source, f"At most {_LARGEST} bytes of text can be checked.", "AboveMaxLength")
    return content


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, Mapping) and ("content" in item or "role" in item or "parts" in item) for item in value
    )


def _is_wrapped(value: Mapping[str, Any]) -> bool:
    return any(_is_messages(value.get(key)) for key in _SCHEMAS)


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the SDK can read it: with a role, and the tools of a ``tools`` message as JSON text."""
    message = {"role": "user", **item}
    if message["role"] == "tools" and not isinstance(message.get("content"), str):
        message["content"] = compact(message.get("content"))
    return message
