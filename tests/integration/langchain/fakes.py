"""A chat model that says what it was told to, with tool calls, usage and real streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from guardrails_plugin import Engine
from guardrails_plugin.langchain import Guard
from tests.strategies import NO_MODEL

RAW = "536-90-4399"
SAID = f"My SSN is {RAW}, thanks."
CLEAN = "My SSN is <US_SSN>, thanks."
BLOCK: dict[str, dict[str, Any]] = {**NO_MODEL, "pii": {"sensitive": "block"}}
USAGE: Any = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}

Reply = str | AIMessage


def guard(stage: str, engine: Engine | None = None, **fields: Any) -> Guard:
    """A guard without the slow classifier."""
    return Guard(stage, engine=engine, **{"overrides": NO_MODEL, **fields})


def calling(name: str, /, **args: Any) -> AIMessage:
    """A reply that calls a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{name}", "type": "tool_call"}])


class Says(BaseChatModel):
    """Answers in turn with its replies, or with what a function makes of the messages; remembers what it was sent."""

    replies: list[Any]

    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _kwargs: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def seen(self) -> list[list[BaseMessage]]:
        return self._seen

    @property
    def kwargs(self) -> list[dict[str, Any]]:
        return self._kwargs

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []

    @property
    def _llm_type(self) -> str:
        return "says"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider="says", ls_model_name=kwargs.get("model", "says-1"), ls_model_type="chat")

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[getattr(tool, "name", str(tool)) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply(messages, {"stop": stop, **kwargs}))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._reply(messages, {"stop": stop, **kwargs})
        text = str(reply.content)
        for at in range(0, len(text), 4):
            yield self._told(AIMessageChunk(content=text[at : at + 4], id=reply.id), run_manager)
        if reply.tool_calls:
            whole = AIMessageChunk(content="", tool_calls=reply.tool_calls)
            for index, call in enumerate(whole.tool_call_chunks):
                part: Any = {**call, "index": index}
                yield self._told(AIMessageChunk(content="", id=reply.id, tool_call_chunks=[part]), run_manager)
        last = AIMessageChunk(content="", id=reply.id, usage_metadata=USAGE, response_metadata=reply.response_metadata)
        yield self._told(last, run_manager)

    def _told(self, chunk: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
        generation = ChatGenerationChunk(message=chunk)
        if run_manager is not None:
            run_manager.on_llm_new_token(generation.text, chunk=generation)
        return generation

    def _reply(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self._seen.append(messages)
        self._kwargs.append(kwargs)
        reply = self.replies[min(len(self._seen), len(self.replies)) - 1]
        reply = reply(messages) if callable(reply) else reply
        made = AIMessage(reply) if isinstance(reply, str) else reply
        return made.model_copy(
            update={
                "usage_metadata": USAGE,
                "response_metadata": {**made.response_metadata, "model_name": "says-1", "model_provider": "says"},
            }
        )


def says(*replies: Reply | Callable[[list[BaseMessage]], Reply], kind: type[Says] = Says, **fields: Any) -> Says:
    """A model that gives these replies in turn, the last one for ever."""
    return kind(replies=list(replies), **fields)


def outputs(messages: Sequence[BaseMessage]) -> list[str]:
    """What tools returned."""
    return [str(message.content) for message in messages if isinstance(message, ToolMessage)]
