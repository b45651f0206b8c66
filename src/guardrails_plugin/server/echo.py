"""A model that answers with what it was asked: for trying the service out without a provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

__all__ = ["EchoChatModel"]


class EchoChatModel(BaseChatModel):
    """Repeats the last message, up to where it is told to stop; counts words as tokens."""

    model: str = "echo"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        text = _until(messages[-1].text if messages else "", stop)
        reply = AIMessage(text, usage_metadata=_usage(messages, text))
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> Iterator[ChatGenerationChunk]:
        text = _until(messages[-1].text if messages else "", stop)
        for word in text.split(" ")[:-1]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word + " "))
        last = AIMessageChunk(content=text.split(" ")[-1], usage_metadata=_usage(messages, text))
        yield ChatGenerationChunk(message=last)

    @property
    def _llm_type(self) -> str:
        return "echo"


def _until(text: str, stop: list[str] | None) -> str:
    return text[: min((text.find(end) for end in stop or () if end in text), default=len(text))]


def _usage(messages: list[BaseMessage], reply: str) -> UsageMetadata:
    given = sum(len(message.text.split()) for message in messages)
    made = len(reply.split())
    return UsageMetadata(input_tokens=given, output_tokens=made, total_tokens=given + made)
