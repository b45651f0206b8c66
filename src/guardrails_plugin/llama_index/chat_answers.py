"""Answers of chat engines, guarded: the text whole or as a stream, and the tools and nodes it came from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import (
    AGENT_CHAT_RESPONSE_TYPE,
    AgentChatResponse,
    StreamingAgentChatResponse,
)
from llama_index.core.schema import NodeWithScore
from llama_index.core.tools import ToolOutput

from guardrails_plugin.llama_index.answers import ChatStream, aguarded, chat_refusal, guarded
from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.llama_index.outputs import guarded_output
from guardrails_plugin.llama_index.responses import Responses
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.types import GuardResult, Stage

__all__ = ["ChatAnswers"]

_STREAMS = (StreamingResponse, AsyncStreamingResponse)


class ChatAnswers:
    """The guard for one engine's answers."""

    def __init__(self, policy: Guarding) -> None:
        self.policy = policy
        self._responses = Responses(policy)

    def nodes(self, nodes: Sequence[NodeWithScore]) -> list[NodeWithScore]:
        """The guarded nodes, without blocked ones."""
        return self._responses.nodes(nodes)

    def answer(self, answer: AGENT_CHAT_RESPONSE_TYPE) -> AGENT_CHAT_RESPONSE_TYPE:
        """The guarded answer; a stream stays one.

        Raises:
            GuardBlocked: it was refused, and the policy raises.
        """
        streams = isinstance(answer, StreamingAgentChatResponse)
        text = "" if streams else answer.response
        metadata = None if streams else getattr(answer, "metadata", None)
        asked = [guardable(dict(source.raw_input or {})) for source in answer.sources]
        checked = self.policy.check(Stage.RESPONSE, [text, guardable(dict(metadata or {})), asked])
        if checked.result.blocked:
            return self.refused_stream(checked.result) if streams else self.refused(checked.result)
        text, told, asked = checked.value
        known: dict[str, Any] = {
            "sources": [self._source(*pair) for pair in zip(answer.sources, asked, strict=True)],
            "source_nodes": self.nodes(answer.source_nodes),
        }
        if isinstance(answer, StreamingAgentChatResponse):
            return self._stream(answer, known)
        return replace(answer, response=text, metadata=None if metadata is None else told, **known)

    def refused(self, result: GuardResult) -> AgentChatResponse:
        """What a refused message or answer becomes."""
        if not self.policy.refuses:
            result.raise_for_block()
        return AgentChatResponse(self.policy.refusal)

    def refused_stream(self, result: GuardResult) -> StreamingAgentChatResponse:
        """`refused` for whoever reads a stream."""
        if not self.policy.refuses:
            result.raise_for_block()
        refusal = chat_refusal(self.policy.refusal, result)
        return StreamingAgentChatResponse(
            response=self.policy.refusal,
            chat_stream=_once(refusal),
            achat_stream=_aonce(refusal),
            is_writing_to_memory=False,
        )

    def _stream(self, answer: StreamingAgentChatResponse, known: dict[str, Any]) -> StreamingAgentChatResponse:
        """The tokens of the inner answer through a guard. The inner one, which queues and joins raw text, stays here.

        Its thread or task still writes the history: joining the guarded answer's joins that.
        """
        streams: dict[str, Any] = (
            {"chat_stream": guarded(_chunks(answer), ChatStream(self.policy))}
            if answer.achat_stream is None
            else {"achat_stream": aguarded(_achunks(answer), ChatStream(self.policy))}
        )
        return StreamingAgentChatResponse(
            is_writing_to_memory=False,
            awrite_response_to_history_task=answer.awrite_response_to_history_task,
            write_response_to_history_thread=answer.write_response_to_history_thread,
            **streams,
            **known,
        )

    def _source(self, output: ToolOutput, asked: Mapping[str, Any]) -> ToolOutput:
        """A tool's output. Retrievers' and query engines' are written anew: their text quotes the nodes, escaped."""
        raw = output.raw_output
        if isinstance(raw, list) and all(isinstance(node, NodeWithScore) for node in raw):
            clean: Any = self.nodes(raw)
        elif isinstance(raw, _STREAMS):
            # Its tokens are the answer's own.
            clean = self._responses.answer(Response("", source_nodes=raw.source_nodes, metadata=raw.metadata))
        elif isinstance(raw, (Response, PydanticResponse)):
            clean = self._responses.answer(raw)
        else:
            return guarded_output(self.policy, output, dict(asked))
        return ToolOutput(
            tool_name=output.tool_name,
            content=str(clean),
            raw_input=dict(asked),
            raw_output=clean,
            is_error=output.is_error,
        )


def _token(text: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=""), delta=text)


def _chunks(answer: StreamingAgentChatResponse) -> Iterator[ChatResponse]:
    for token in answer.response_gen:
        yield _token(token)


async def _achunks(answer: StreamingAgentChatResponse) -> AsyncIterator[ChatResponse]:
    async for token in answer.async_response_gen():
        yield _token(token)


def _once(response: ChatResponse) -> Generator[ChatResponse, None, None]:
    yield response


async def _aonce(response: ChatResponse) -> AsyncGenerator[ChatResponse, None]:
    yield response
