"""A chat model whose streams know their run: LangChain hands its run manager to `_generate`, but to `_stream` not."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import (
    ensure_config,
    get_callback_manager_for_config,
    var_child_runnable_config,
)

__all__ = ["RunAwareChatModel"]


class RunAwareChatModel(BaseChatModel):
    """While it streams, the current config is that of its run: ids, tags, callbacks."""

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
                with _current(inside):
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
                with _current(inside):
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


@contextmanager
def _current(config: RunnableConfig) -> Generator[None]:
    """Set anew for every chunk: between two of them the context is the caller's."""
    before = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(before)
