"""Models that say what a test wants, and where to look for what must not be seen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import PrivateAttr

from guardrails_plugin.types import Stage
from tests.strategies import NO_MODEL

SSN, CARD, IBAN = "536-90-4399", "4111 1111 1111 1111", "GB29 NWBK 6016 1331 9268 19"
"""Said by the user, a tool, the model."""

AGENTS_WARN = [
    pytest.mark.filterwarnings(f"ignore:{own}")  # LlamaIndex's own, whenever it makes or runs an agent
    for own in ("The `__fields", "Accessing the", "is_running called from", "Skipping serialization of known")
]

QUIET: dict[str, dict[str, dict[str, Any]]] = {stage.value: NO_MODEL for stage in Stage}
"""Overrides for tests of everything but the classifier."""


def blocking(stage: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Overrides that make a stage refuse personal data."""
    return {**QUIET, stage: {**NO_MODEL, "pii": {"sensitive": "block"}}}


def leaks(*seen: object) -> list[str]:
    """The canaries that stand anywhere in what was seen."""
    text = "\n".join(f"{thing!r} {getattr(thing, '__dict__', '')!r}" for thing in seen)
    return [canary for canary in (SSN, CARD, IBAN) if canary in text or canary[:7] in text]


def said(text: str) -> ChatMessage:
    """An answer."""
    return ChatMessage(role=MessageRole.ASSISTANT, content=text)


def call(*calls: tuple[str, dict[str, Any]]) -> ChatMessage:
    """An answer that calls tools."""
    blocks = [
        ToolCallBlock(tool_call_id=str(number), tool_name=name, tool_kwargs=kwargs)
        for number, (name, kwargs) in enumerate(calls)
    ]
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=list(blocks))


class Script:
    """Plays one answer after the other and remembers the prompts."""

    def __init__(self, *answers: ChatMessage | str) -> None:
        self._answers = [said(answer) if isinstance(answer, str) else answer for answer in answers]
        self.prompts: list[list[ChatMessage]] = []

    def __call__(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        """The next answer."""
        self.prompts.append([message.model_copy(deep=True) for message in messages])
        return self._answers[min(len(self.prompts), len(self._answers)) - 1].model_copy(deep=True)

    def model(self, **fields: Any) -> MockFunctionCallingLLM:
        """A function-calling model that says it."""
        return MockFunctionCallingLLM(response_generator=self, is_chat_model=True, **fields)


def streaming(*deltas: str) -> MockFunctionCallingLLM:
    """A model that streams these deltas; its messages are no more than them."""

    def chunks(messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatMessage, None, None]:
        yield from map(said, deltas)

    return MockFunctionCallingLLM(response_generator=chunks)


def astreaming(*deltas: str) -> MockFunctionCallingLLM:
    """`streaming` for the async methods."""

    async def chunks(messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatMessage, None]:
        for delta in deltas:
            yield said(delta)

    return MockFunctionCallingLLM(response_generator=chunks)


class PlainLLM(CustomLLM):
    """A model that calls no functions: completes any prompt with the next answer, word by word when streamed."""

    _answers: list[str] = PrivateAttr(default_factory=list)
    _prompts: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def saying(cls, *answers: str) -> PlainLLM:
        """A model with these answers; the last one is repeated."""
        model = cls()
        model._answers = list(answers)
        return model

    @property
    def prompts(self) -> list[str]:
        """What it was asked."""
        return self._prompts

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="plain")

    def _next(self, prompt: str) -> str:
        self._prompts.append(prompt)
        return self._answers[min(len(self._prompts), len(self._answers)) - 1]

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next(prompt), raw={"text": self._answers[0]})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        answer = self._next(prompt)

        def words() -> CompletionResponseGen:
            text = ""
            for word in answer.split(" "):
                delta = f" {word}" if text else word
                text += delta
                yield CompletionResponse(text=text, delta=delta, raw={"text": answer})

        return words()
