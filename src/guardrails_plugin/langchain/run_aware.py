"""A chat model that knows the config it is called with, and in streams its run.

LangChain hands a model its run manager, in `_stream` not even that.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, get_callback_manager_for_config

from guardrails_plugin.langchain.inner_run import current, outer_config

__all__ = ["RunAwareChatModel"]


class RunAwareChatModel(BaseChatModel):
    """While it is called, the current config is the call's; while it streams, its run's: ids, tags, callbacks."""

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        with current(outer_config(config)):
            return super().invoke(input, config, stop=stop, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        with current(outer_config(config)):
            return await super().ainvoke(input, config, stop=stop, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        own = _with_run_id(config)
        inside = _inside(own)
        stream: Any = super().stream(input, own, stop=stop, **kwargs)
        with closing(stream) as chunks:
            while True:
                with current(inside):
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        own = _with_run_id(config)
        inside = _inside(own)
        stream: Any = super().astream(input, own, stop=stop, **kwargs)
        async with aclosing(stream) as chunks:
            while True:
                with current(inside):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk


def _with_run_id(config: RunnableConfig | None) -> RunnableConfig:
    own = ensure_config(config)
    own["run_id"] = own.get("run_id") or uuid.uuid4()
    return own


def _inside(config: RunnableConfig) -> RunnableConfig:
    """The config for what happens in the run that begins with this config."""
    callbacks = get_callback_manager_for_config(config)
    callbacks.parent_run_id = config.get("run_id")
    return {**config, "callbacks": callbacks, "run_id": None}
