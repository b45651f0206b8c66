"""How the parts of a LlamaIndex application can be run, and what is to be seen of them: answers, events, memory."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import QueryBundle, TransformComponent
from llama_index.core.tools import AsyncBaseTool, BaseTool
from llama_index.core.workflow import Workflow

from guardrails_plugin.testing.leaks import Mode
from guardrails_plugin.testing.llama_index_handlers import instrumented
from guardrails_plugin.testing.watch import Watch

__all__ = ["llama_index_modes"]

Run = Callable[..., Any]


def llama_index_modes(app: Any) -> dict[str, Mode] | None:
    """The modes of an application by name; None when it is no part of LlamaIndex."""
    known: list[tuple[type, Callable[[Any], dict[str, Mode]]]] = [
        (BaseQueryEngine, _query_engine),
        (BaseChatEngine, _chat_engine),
        (BaseRetriever, _retriever),
        (BaseLLM, _model),
        (Workflow, _workflow),
        (BaseTool, _tool),
        (IngestionPipeline, _pipeline),
        (BaseNodePostprocessor, _postprocessor),
        (TransformComponent, _transform),
    ]
    return next((modes(app) for kind, modes in known if isinstance(app, kind)), None)


def _query_engine(app: Any) -> dict[str, Mode]:
    asked = {"query": _calls("query"), "aquery": _calls("aquery")}
    return asked | {name: _calls(name, QueryBundle) for name in ("retrieve", "aretrieve") if hasattr(app, name)}


def _chat_engine(app: Any) -> dict[str, Mode]:
    return {name: _calls(name) for name in ("chat", "achat", "stream_chat", "astream_chat")}


def _retriever(app: Any) -> dict[str, Mode]:
    return {"retrieve": _calls("retrieve"), "aretrieve": _calls("aretrieve")}


def _model(app: Any) -> dict[str, Mode]:
    chat = {name: _calls(name, _messages) for name in ("chat", "achat", "stream_chat", "astream_chat")}
    return chat | {
        name: _calls(name, _text) for name in ("complete", "acomplete", "stream_complete", "astream_complete")
    }


def _tool(app: Any) -> dict[str, Mode]:
    return {"call": _calls("call"), **({"acall": _calls("acall")} if isinstance(app, AsyncBaseTool) else {})}


def _workflow(app: Any) -> dict[str, Mode]:
    async def run(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        context: Any = None
        with instrumented(app, watch):
            for value in inputs:
                # Made in here: its run belongs to this event loop.
                handler = app.run(**(value if isinstance(value, dict) else {"user_msg": value}), ctx=context)
                async for event in handler.stream_events(expose_internal=True):
                    watch.see(f"event {type(event).__name__}", event)
                    watch.piece(f"event {type(event).__name__}", None, event)
                watch.see("output", await handler)
                context = getattr(handler, "ctx", None)
        if context is not None:
            state = await context.store.get_state()
            watch.see("context", state)
            # Agents keep their memory in there.
            _remembered("memory", state.get("memory") if hasattr(state, "get") else None, watch)

    return {"run": run}


def _pipeline(app: Any) -> dict[str, Mode]:
    def run(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with instrumented(app, watch):
            watch.see("output", app.run(documents=list(inputs)))
        _stored(app, watch)

    async def arun(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with instrumented(app, watch):
            watch.see("output", await app.arun(documents=list(inputs)))
        _stored(app, watch)

    return {"run": run, "arun": arun}


def _stored(app: Any, watch: Watch) -> None:
    """Docstore, cache and the stores that can show what they hold."""
    if app.docstore is not None:
        watch.see("docstore", list(app.docstore.docs.values()))
    if app.cache is not None and not app.disable_cache:
        watch.see("cache", app.cache.cache.get_all(collection=app.cache.collection))
    if app.vector_store is not None:
        watch.see("vector store", getattr(app.vector_store, "data", None))


def _postprocessor(app: Any) -> dict[str, Mode]:
    return {"postprocess_nodes": _whole("postprocess_nodes"), "apostprocess_nodes": _whole("apostprocess_nodes")}


def _transform(app: Any) -> dict[str, Mode]:
    return {"call": _whole("__call__"), "acall": _whole("acall")}


def _whole(name: str) -> Mode:
    """A mode that hands all inputs to one call."""

    async def call(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with instrumented(app, watch):
            watch.see("output", await _result(getattr(app, name), list(inputs)))

    return call


def _calls(name: str, given: Callable[[Any], Any] = lambda value: value) -> Mode:
    """A mode that calls a method once for each input, consumes what streams, and looks at the memory."""

    async def call(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with instrumented(app, watch):
            for value in inputs:
                method = getattr(app, name)
                spread = isinstance(app, BaseTool) and isinstance(value, dict)
                bound = functools.partial(method, **value) if spread else functools.partial(method, given(value))
                await _drained(await _result(bound), watch)
        for memory in ("chat_history", "memory", "_memory"):
            _remembered(memory, getattr(app, memory, None), watch)

    return call


async def _result(method: Run, *args: Any) -> Any:
    """What a method returns: a sync one runs on a thread, as it would in an application, for some start event loops."""
    if inspect.iscoroutinefunction(getattr(method, "func", method)):
        return await method(*args)
    result = await asyncio.to_thread(method, *args)
    return await result if isinstance(result, Awaitable) else result


async def _drained(answer: Any, watch: Watch) -> None:
    """Look at an answer; one that streams is read to its end."""
    chunks: Any = answer
    for name in ("async_response_gen", "response_gen"):
        found = getattr(answer, name, None)
        if found is not None and _streams(answer, name):
            chunks = found() if callable(found) else found
            break
    parts: Any = chunks
    if inspect.isasyncgen(chunks):
        await _aread(parts, watch)
    elif inspect.isgenerator(chunks):
        await asyncio.to_thread(_read, chunks, watch)
    watch.see("output", answer)
    watch.see("output", str(answer) if not inspect.isgenerator(answer) else "")


def _streams(answer: Any, name: str) -> bool:
    is_async = getattr(answer, "achat_stream", None) is not None or type(answer).__name__ == "AsyncStreamingResponse"
    is_sync = getattr(answer, "chat_stream", None) is not None or type(answer).__name__ == "StreamingResponse"
    return is_async if name == "async_response_gen" else is_sync


async def _aread(chunks: AsyncGenerator[Any, None], watch: Watch) -> None:
    async for chunk in chunks:
        watch.see("chunk", chunk)
        watch.piece("chunk", None, chunk)


def _read(chunks: Iterator[Any], watch: Watch) -> None:
    for chunk in chunks:
        watch.see("chunk", chunk)
        watch.piece("chunk", None, chunk)


def _remembered(name: str, memory: Any, watch: Watch) -> None:
    everything = getattr(memory, "get_all", None)
    watch.see(f"memory {name.strip('_')}", everything() if callable(everything) else memory)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "\n".join(str(message.content) for message in value)


def _messages(value: Any) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=value)] if isinstance(value, str) else value
