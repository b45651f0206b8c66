"""Answers that are objects: structured output, and calls that a model makes and that are made for it at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools.types import BaseTool
from pydantic import BaseModel

from guardrails_plugin.llama_index.call_gate import answering, gives_answer
from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.llama_index.tools import guarded_tool
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.types import Stage

__all__ = ["Calling", "Structured"]


class Structured:
    """The methods of a model that give objects, guarded. No LLM itself, as the other methods."""

    _guarding: Guarding

    def structured_predict(
        self,
        output_cls: type[Any],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """The guarded object; a blocked one always raises, since no refusal has its shape."""
        return self._object(LLM.structured_predict(cast("LLM", self), output_cls, prompt, llm_kwargs, **prompt_args))

    async def astructured_predict(
        self,
        output_cls: type[Any],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """`structured_predict`, async."""
        made = await LLM.astructured_predict(cast("LLM", self), output_cls, prompt, llm_kwargs, **prompt_args)
        return await asyncio.to_thread(self._object, made)

    def stream_structured_predict(
        self,
        output_cls: type[Any],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Iterator[Any]:
        """The whole object, once: half of a value cannot be judged."""
        made = LLM.stream_structured_predict(cast("LLM", self), output_cls, prompt, llm_kwargs, **prompt_args)
        for whole in deque(made, maxlen=1):
            yield self._object(whole)

    async def astream_structured_predict(
        self,
        output_cls: type[Any],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncIterator[Any]:
        """`stream_structured_predict`, async."""
        inner = await LLM.astream_structured_predict(cast("LLM", self), output_cls, prompt, llm_kwargs, **prompt_args)

        async def whole() -> AsyncIterator[Any]:
            latest: deque[Any] = deque(maxlen=1)
            async for made in inner:
                latest.append(made)
            for made in latest:
                yield await asyncio.to_thread(self._object, made)

        return whole()

    def predict_and_call(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        """LlamaIndex calls the tools right here: each is guarded, unless its call is the answer."""
        return self._told(self._own.predict_and_call(self._guarded_tools(tools), *args, **kwargs))

    async def apredict_and_call(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        """`predict_and_call`, async."""
        made = await self._own.apredict_and_call(self._guarded_tools(tools), *args, **kwargs)
        return await asyncio.to_thread(self._told, made)

    @property
    def _own(self) -> Any:
        """LlamaIndex's own methods."""
        return super()

    def _told(self, answer: AgentChatResponse) -> AgentChatResponse:
        """An answer whose sources say no more of the arguments than an answer may."""
        checked = self._guarding.check(Stage.RESPONSE, [guardable(source.raw_input) for source in answer.sources])
        checked.result.raise_for_block()
        pairs = zip(answer.sources, checked.value, strict=True)
        return replace(answer, sources=[source.model_copy(update={"raw_input": told}) for source, told in pairs])

    def _guarded_tools(self, tools: Sequence[BaseTool]) -> list[BaseTool]:
        policy = replace(self._guarding, refusal="")
        return [tool if gives_answer(tool) else guarded_tool(tool, policy) for tool in tools]

    def _object(self, made: BaseModel) -> Any:
        checked = self._guarding.check(Stage.RESPONSE, made)
        checked.result.raise_for_block()
        return checked.value


class Calling:
    """The methods of a model that take tools, guarded."""

    _guarding: Guarding

    def chat_with_tools(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        with answering(tools):
            return self._calls.chat_with_tools(tools, *args, **kwargs)

    async def achat_with_tools(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        with answering(tools):
            return await self._calls.achat_with_tools(tools, *args, **kwargs)

    def stream_chat_with_tools(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        with answering(tools):
            return self._calls.stream_chat_with_tools(tools, *args, **kwargs)

    async def astream_chat_with_tools(self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any) -> Any:
        with answering(tools):
            return await self._calls.astream_chat_with_tools(tools, *args, **kwargs)

    @property
    def _calls(self) -> Any:
        """LlamaIndex's own methods."""
        return super()
