"""`Guard`: a Runnable that guards whatever flows through it, as in ``prompt | Guard("llm_prompt") | model``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from typing import Any, Literal

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from pydantic import ConfigDict, PrivateAttr, field_validator

from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.engine import DEFAULT_ORIGINS, Engine, default_engine
from guardrails_plugin.errors import GuardBlocked, unknown_name
from guardrails_plugin.langchain.chunks import ChunkGuard
from guardrails_plugin.langchain.values import walker
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["Guard"]

_CONTEXT_KEYS = ("user_id", "session_id", "thread_id", "app", "request_id")


class Guard(RunnableSerializable[Any, Any]):
    """Guards strings, messages, prompt values, documents, dicts, lists and structured output; same type out.

    Args:
        stage: which stage of the application this is.
        recipe: name of a recipe; the stage's own by default.
        overrides: changes to the recipe, by rule name.
        on_block: ``raise`` GuardBlocked; ``refuse`` answers with `refusal` (strings and messages only, anything else
            raises); ``drop`` leaves blocked documents out of a list.
        refusal: the answer in place of a refused one.
        engine: the engine to use; one shared by the whole process by default.

    Streams are guarded chunk by chunk: what can no longer change is released, the rest held back. The run that
    callbacks and tracers see holds stage and verdict, never the text.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    stage: Stage
    recipe: str | None = None
    overrides: dict[str, dict[str, Any]] | None = None
    on_block: Literal["raise", "refuse", "drop"] = "raise"
    refusal: str = "This was blocked by policy."

    _engine: Engine = PrivateAttr(default_factory=default_engine)

    def __init__(self, stage: Stage | str, *, engine: Engine | None = None, **fields: Any) -> None:
        super().__init__(**{"stage": stage, **fields})
        if engine is not None:
            self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine it asks."""
        return self._engine

    @field_validator("stage", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        if isinstance(value, str) and value not in {stage.value for stage in Stage}:
            raise unknown_name("stage", value, [stage.value for stage in Stage])
        return value

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        return cls.__module__.split(".")

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The guarded input.

        Raises:
            GuardBlocked: it was refused, and ``on_block`` says raise.
        """
        return self.batch([input], config)[0]

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """`invoke` without blocking the event loop."""
        return (await self.abatch([input], config))[0]

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """All inputs in one pass of the engine; each has a run of its own."""
        configs = _configs(config, len(inputs))
        runs = [_Run.begin(self, own) for own in configs]
        outputs = self._all(inputs, configs)
        for run, output in zip(runs, outputs, strict=True):
            run.end(output)
        return _unwrapped(outputs, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """`batch` on a worker thread."""
        configs = _configs(config, len(inputs))
        runs = [await _AsyncRun.begin(self, own) for own in configs]
        outputs = await asyncio.to_thread(self._all, inputs, configs)
        for run, output in zip(runs, outputs, strict=True):
            await run.end(output)
        return _unwrapped(outputs, return_exceptions=return_exceptions)

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Guard a stream. Takes from upstream only as much as the consumer asks for."""
        own = ensure_config(config)
        run = _Run.begin(self, own)
        guard = self._chunk_guard(own)
        try:
            with closing(_closable(input)) as chunks:
                for chunk in chunks:
                    yield from guard.feed(chunk)
            yield from guard.finish()
        except BaseException as error:
            run.fail(error)
            raise
        run.end(None)

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """`transform` for async streams; the scan of one chunk takes microseconds, the finish runs on a thread."""
        own = ensure_config(config)
        run = await _AsyncRun.begin(self, own)
        guard = self._chunk_guard(own)
        try:
            async with aclosing(_aclosable(input)) as chunks:
                async for chunk in chunks:
                    for released in guard.feed(chunk):
                        yield released
            for released in await asyncio.to_thread(list, guard.finish()):
                yield released
        except BaseException as error:
            await run.fail(error)
            raise
        await run.end(None)

    def _chunk_guard(self, config: RunnableConfig) -> ChunkGuard:
        stream = self._engine.stream(
            stage=self.stage, recipe=self.recipe, overrides=self.overrides, context=_context(config)
        )
        refusal = self.refusal if self.on_block == "refuse" else None
        return ChunkGuard(stream, lambda value: self._all([value], [config])[0], self.stage, refusal)

    def _all(self, inputs: Sequence[Any], configs: Sequence[RunnableConfig]) -> list[Any]:
        """Guarded values; a refusal is the exception itself, so that one never costs the others."""
        if self.on_block == "drop":
            return [self._kept(value, _context(own)) for value, own in zip(inputs, configs, strict=True)]
        return self._guarded(inputs, [_context(config) for config in configs])

    def _guarded(self, inputs: Sequence[Any], contexts: Sequence[Context]) -> list[Any]:
        foreign = walker(tool_calls=self.stage is not Stage.RESPONSE)
        origin = DEFAULT_ORIGINS[self.stage]
        contents = [segments(value, origin, foreign) for value in inputs]
        results = self._engine.check_batch(
            contents, stage=self.stage, recipe=self.recipe, overrides=self.overrides, context=contexts
        )
        return [
            self._refused(value, result) if result.blocked else substitute(value, result.output, foreign)
            for value, result in zip(inputs, results, strict=True)
        ]

    def _kept(self, value: Any, context: Context) -> Any:
        """A list without its blocked documents."""
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Document) for item in value):
            return self._guarded([value], [context])[0]
        guarded = self._guarded(value, [context] * len(value))
        return [item for item in guarded if not isinstance(item, GuardBlocked)]

    def _refused(self, value: Any, result: GuardResult) -> Any:
        blocked = _blocked(result)
        if self.on_block != "refuse":
            return blocked
        if isinstance(value, str):
            return self.refusal
        if isinstance(value, (BaseMessage, PromptValue)):
            kind = AIMessageChunk if isinstance(value, AIMessageChunk) else AIMessage
            mark = {"stage": str(result.stage), "verdict": "block", "result_id": result.id}
            return kind(content=self.refusal, id=getattr(value, "id", None), response_metadata={"guard": mark})
        return blocked


def _blocked(result: GuardResult) -> GuardBlocked:
    try:
        result.raise_for_block()
    except GuardBlocked as error:
        return error.with_traceback(None)
    raise AssertionError("only called for blocked results")


def _unwrapped(outputs: list[Any], *, return_exceptions: bool) -> list[Any]:
    if not return_exceptions:
        for output in outputs:
            if isinstance(output, GuardBlocked):
                raise output from None
    return outputs


def _configs(config: RunnableConfig | list[RunnableConfig] | None, size: int) -> list[RunnableConfig]:
    configs = config if isinstance(config, list) else [config] * size
    return [ensure_config(own) for own in configs]


def _context(config: RunnableConfig) -> Context:
    """What the audit record may know of a run: ids from its metadata and its thread."""
    known = {**config.get("configurable", {}), **config.get("metadata", {})}
    return Context(metadata={key: str(known[key]) for key in _CONTEXT_KEYS if known.get(key)})


def _closable(chunks: Iterator[Any]) -> Any:
    """The upstream itself when it can be closed, else a generator over it that can."""
    return chunks if hasattr(chunks, "close") else (chunk for chunk in chunks)


def _aclosable(chunks: AsyncIterator[Any]) -> Any:
    return chunks if hasattr(chunks, "aclose") else (chunk async for chunk in chunks)


class _Run:
    """A guard's run as callbacks and tracers see it: stage and verdict, no text."""

    def __init__(self, run: Any) -> None:
        self._run = run

    @classmethod
    def begin(cls, guard: Guard, config: RunnableConfig) -> _Run:
        manager = get_callback_manager_for_config(config)
        return cls(manager.on_chain_start(None, _facts(guard), **_named(guard, config)))

    def end(self, output: Any) -> None:
        if isinstance(output, GuardBlocked):
            self._run.on_chain_error(output)
        else:
            self._run.on_chain_end({"guard": "passed"})

    def fail(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            self._run.on_chain_end({"guard": "closed"})
        else:
            self._run.on_chain_error(error)


class _AsyncRun:
    """`_Run` with awaited callbacks."""

    def __init__(self, run: Any) -> None:
        self._run = run

    @classmethod
    async def begin(cls, guard: Guard, config: RunnableConfig) -> _AsyncRun:
        manager = get_async_callback_manager_for_config(config)
        return cls(await manager.on_chain_start(None, _facts(guard), **_named(guard, config)))

    async def end(self, output: Any) -> None:
        if isinstance(output, GuardBlocked):
            await self._run.on_chain_error(output)
        else:
            await self._run.on_chain_end({"guard": "passed"})

    async def fail(self, error: BaseException) -> None:
        if isinstance(error, (GeneratorExit, asyncio.CancelledError)):
            await self._run.on_chain_end({"guard": "closed"})
        else:
            await self._run.on_chain_error(error)


def _facts(guard: Guard) -> dict[str, Any]:
    return {"stage": str(guard.stage), "recipe": guard.recipe or str(guard.stage)}


def _named(guard: Guard, config: RunnableConfig) -> dict[str, Any]:
    name = config.get("run_name") or guard.get_name()
    return {"name": name, "run_id": config.get("run_id")}
