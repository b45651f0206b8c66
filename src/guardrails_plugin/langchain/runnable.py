"""`Guard`: a Runnable that guards whatever flows through it, as in ``prompt | Guard("llm_prompt") | model``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict, Field, field_serializer, field_validator
from pydantic.json_schema import SkipJsonSchema

from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.engine import DEFAULT_ORIGINS, Engine, default_engine
from guardrails_plugin.errors import ConfigError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.chunks import ChunkGuard, add
from guardrails_plugin.langchain.context import run_context
from guardrails_plugin.langchain.refusals import refusal_like
from guardrails_plugin.langchain.review import approved
from guardrails_plugin.langchain.runs import AsyncRun, Run
from guardrails_plugin.langchain.values import walker
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["Guard"]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What becomes of one input; a refusal is the exception itself."""

    value: Any = field(repr=False)
    results: tuple[GuardResult, ...] = ()


class Guard(RunnableSerializable[Any, Any]):
    """Guards strings, messages, prompt values, documents, dicts, lists and structured output; same type out.

    Args:
        stage: which stage of the application this is.
        recipe: name of a recipe; the stage's own by default.
        overrides: changes to the recipe, by rule name.
        on_block: ``raise`` GuardBlocked, which ends a chain; ``refuse`` hands on `refusal` in the input's type
            (strings, prompts and messages; anything else raises): a step that follows is run with it, so that
            ``guard | model`` asks the model the refusal; ``drop`` leaves blocked documents out of a list; ``review``
            interrupts the LangGraph run that the guard is part of: resumed with ``"approve"`` the input passes as it
            came in, anything else, or no graph, raises.
        refusal: the text in place of a refused one.
        tenant: whose keys the ``encrypt`` action uses; by default ``tenant`` of the run's metadata or configurable
            values.
        engine: the engine to use; one shared by the whole process by default.

    A custom event ``guard_verdict`` tells callbacks and event streams of every check that found something: stage,
    verdict, types and actions. `langchain_core.load` writes and loads guards with the default engine; one with an
    engine of its own is written as a reference that does not load, since its keys and detectors must not travel.

    Raises:
        ConfigError: an argument is wrong, or names a recipe, rule, action or entity type that there is not.

    `with_retry` repeats a block like any error: tell it which to repeat, ``retry_if_exception_type=(...)``.

    Streams are guarded chunk by chunk: what can no longer change is released, the rest held back. The run that
    callbacks and tracers see holds stage and verdict, never the text.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    stage: Stage
    recipe: str | None = None
    overrides: dict[str, dict[str, Any]] | None = None
    on_block: Literal["raise", "refuse", "drop", "review"] = "raise"
    refusal: str = "This was blocked by policy."
    tenant: str = ""

    # A field, not a private attribute: LangChain makes guards anew from their fields.
    engine: SkipJsonSchema[Engine] = Field(default_factory=default_engine, repr=False)

    def __init__(self, stage: Stage | str, *, engine: Engine | None = None, **fields: Any) -> None:
        given: dict[str, Any] = {"stage": stage, "engine": engine, **fields}
        with constructing(type(self)):
            super().__init__(**given)
        if self.recipe is not None or self.overrides:
            # The stage's own recipe is there; what else is asked for is looked up now, not with the first content.
            self.engine.fingerprint(stage=self.stage, recipe=self.recipe, overrides=self.overrides)

    @field_validator("engine", mode="before")
    @classmethod
    def _shared(cls, value: object) -> object:
        return default_engine() if value is None else value

    @field_serializer("engine", when_used="json")
    def _unwritten(self, engine: Engine) -> None:
        if engine is not default_engine():
            raise ConfigError("engine: a guard with an engine of its own is not written as JSON: keys would travel")

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

    def to_json(self) -> Any:
        if self.engine is not default_engine():
            return self.to_json_not_implemented()
        made: Any = super().to_json()
        made["kwargs"].pop("engine", None)
        return made

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
        runs = [Run.begin(self.get_name(), self._facts(), own) for own in configs]
        try:
            outcomes = self._all(inputs, configs)
        except BaseException as error:
            for run in runs:
                run.fail(error)
            raise
        for run, outcome in zip(runs, outcomes, strict=True):
            run.end(outcome.value, outcome.results)
        return _unwrapped(outcomes, return_exceptions=return_exceptions)

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
        runs = [await AsyncRun.begin(self.get_name(), self._facts(), own) for own in configs]
        try:
            outcomes = await asyncio.to_thread(self._all, inputs, configs)
        except BaseException as error:
            for run in runs:
                await run.fail(error)
            raise
        for run, outcome in zip(runs, outcomes, strict=True):
            await run.end(outcome.value, outcome.results)
        return _unwrapped(outcomes, return_exceptions=return_exceptions)

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Guard a stream. Takes from upstream only as much as the consumer asks for.

        Nothing of a stream that may come under review is released before its end.
        """
        own = ensure_config(config)
        run = Run.begin(self.get_name(), self._facts(), own)
        guard = self._stream_guard(own)
        try:
            with closing(_closable(input)) as chunks:
                for chunk in chunks:
                    yield from guard.feed(chunk)
            yield from guard.finish()
        except BaseException as error:
            run.fail(error)
            raise
        run.end(None, guard.results)

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """`transform` for async streams; the scan of one chunk takes microseconds, the finish runs on a thread."""
        own = ensure_config(config)
        run = await AsyncRun.begin(self.get_name(), self._facts(), own)
        guard = self._stream_guard(own)
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
        await run.end(None, guard.results)

    def _facts(self) -> dict[str, Any]:
        return {"stage": str(self.stage), "recipe": self.recipe or str(self.stage)}

    def _context(self, config: RunnableConfig) -> Context:
        return run_context(config, tenant=self.tenant)

    def _stream_guard(self, config: RunnableConfig) -> ChunkGuard | _Held:
        def whole(value: Any) -> _Outcome:
            return self._all([value], [config])[0]

        if self.on_block == "review":
            return _Held(whole)
        stream = partial(
            self.engine.stream,
            stage=self.stage,
            recipe=self.recipe,
            overrides=self.overrides,
            context=self._context(config),
        )
        refusal = self.refusal if self.on_block == "refuse" else None
        return ChunkGuard(stream, lambda value: whole(value).value, self.stage, refusal)

    def _all(self, inputs: Sequence[Any], configs: Sequence[RunnableConfig]) -> list[_Outcome]:
        """What becomes of the inputs; one that is refused never costs the others."""
        if self.on_block == "drop":
            return [self._kept(value, own) for value, own in zip(inputs, configs, strict=True)]
        return self._guarded(inputs, configs)

    def _guarded(self, inputs: Sequence[Any], configs: Sequence[RunnableConfig]) -> list[_Outcome]:
        foreign = walker(tool_calls=self.stage is not Stage.RESPONSE)
        origin = DEFAULT_ORIGINS[self.stage]
        contents = [segments(value, origin, foreign) for value in inputs]
        results = self.engine.check_batch(
            contents,
            stage=self.stage,
            recipe=self.recipe,
            overrides=self.overrides,
            context=[self._context(config) for config in configs],
        )
        return [
            _Outcome(
                self._refused(value, result, config) if result.blocked else substitute(value, result.output, foreign),
                (result,),
            )
            for value, result, config in zip(inputs, results, configs, strict=True)
        ]

    def _kept(self, value: Any, config: RunnableConfig) -> _Outcome:
        """A list without its blocked documents."""
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Document) for item in value):
            return self._guarded([value], [config])[0]
        guarded = self._guarded(value, [config] * len(value))
        return _Outcome(
            [item.value for item in guarded if not isinstance(item.value, GuardBlocked)],
            tuple(result for item in guarded for result in item.results),
        )

    def _refused(self, value: Any, result: GuardResult, config: RunnableConfig) -> Any:
        blocked = _blocked(result)
        if self.on_block == "review" and approved(result, config):
            return value
        if self.on_block != "refuse":
            return blocked
        refused = refusal_like(value, self.refusal, result)
        return blocked if refused is None else refused


class _Held:
    """A stream that is guarded whole."""

    def __init__(self, whole: Callable[[Any], _Outcome]) -> None:
        self._whole = whole
        self._chunks: Any = None
        self.results: tuple[GuardResult, ...] = ()

    def feed(self, chunk: Any) -> Iterator[Any]:
        self._chunks = chunk if self._chunks is None else add(self._chunks, chunk)
        return iter(())

    def finish(self) -> Iterator[Any]:
        if self._chunks is None:
            return
        outcome = self._whole(self._chunks)
        self.results = outcome.results
        yield _unwrapped([outcome], return_exceptions=False)[0]


def _blocked(result: GuardResult) -> GuardBlocked:
    try:
        result.raise_for_block()
    except GuardBlocked as error:
        return error.with_traceback(None)
    raise AssertionError("only called for blocked results")


def _unwrapped(outcomes: Sequence[_Outcome], *, return_exceptions: bool) -> list[Any]:
    if not return_exceptions:
        for outcome in outcomes:
            if isinstance(outcome.value, GuardBlocked):
                raise outcome.value from None
    return [outcome.value for outcome in outcomes]


def _configs(config: RunnableConfig | list[RunnableConfig] | None, size: int) -> list[RunnableConfig]:
    configs = config if isinstance(config, list) else [config] * size
    return [ensure_config(own) for own in configs]


def _closable(chunks: Iterator[Any]) -> Any:
    """The upstream itself when it can be closed, else a generator over it that can."""
    return chunks if hasattr(chunks, "close") else (chunk for chunk in chunks)


def _aclosable(chunks: AsyncIterator[Any]) -> Any:
    return chunks if hasattr(chunks, "aclose") else (chunk async for chunk in chunks)
