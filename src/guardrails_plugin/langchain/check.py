"""One stage as the adapters ask it: any LangChain object in, the same object guarded out, or `GuardBlocked`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.engine import DEFAULT_ORIGINS, Engine
from guardrails_plugin.errors import ConfigError, GuardBlocked
from guardrails_plugin.langchain.chunks import ChunkGuard
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.langchain.values import walker
from guardrails_plugin.types import NO_CONTEXT, Context, GuardResult, Origin, Stage

__all__ = ["Checked", "Option", "StageCheck", "check_at", "run_context"]

_CONTEXT_KEYS = ("user_id", "session_id", "thread_id", "app", "request_id")

Option: TypeAlias = Guard | bool
"""What an adapter takes for a stage: a guard of one's own, True for the stage's recipe, False for none."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A guarded value and how it was guarded."""

    value: Any = field(repr=False)
    result: GuardResult


class StageCheck:
    """The policy of a `Guard`, asked with a context of the adapter's choosing.

    Args:
        guard: whose stage, recipe, overrides and engine count; its ``on_block`` is for the adapter to honour.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.stage = guard.stage
        self.engine = guard.engine

    def __call__(self, value: Any, context: Context | None = None, *, origin: Origin | None = None) -> Checked:
        """The guarded value.

        Raises:
            GuardBlocked: it was refused.
            ContentError: there is something in it that cannot be guarded.
        """
        (checked,) = self.each([value], context, origin=origin)
        if isinstance(checked, GuardBlocked):
            raise checked from None
        return checked

    def each(
        self, values: Sequence[Any], context: Context | None = None, *, origin: Origin | None = None
    ) -> list[Checked | GuardBlocked]:
        """All values in one pass of the engine; a refusal is the exception itself."""
        foreign = walker(tool_calls=self.stage is not Stage.RESPONSE)
        who = origin or DEFAULT_ORIGINS[self.stage]
        contents = [segments(value, who, foreign) for value in values]
        results = self.engine.check_batch(
            contents,
            stage=self.stage,
            recipe=self.guard.recipe,
            overrides=self.guard.overrides,
            context=context or run_context(),
        )
        return [
            _refused(result) if result.blocked else Checked(substitute(value, result.output, foreign), result)
            for value, result in zip(values, results, strict=True)
        ]

    def chunks(self, refusal: str | None, context: Context | None = None) -> ChunkGuard:
        """A guard for one stream; ``refusal`` ends a refused one, None raises."""
        own = context or run_context()
        stream = self.engine.stream(
            stage=self.stage, recipe=self.guard.recipe, overrides=self.guard.overrides, context=own
        )

        def whole(value: Any) -> Any:
            checked = self.each([value], own)[0]
            return checked.value if isinstance(checked, Checked) else checked

        return ChunkGuard(stream, whole, self.stage, refusal)


def check_at(option: Option, stage: Stage, engine: Engine | None = None) -> StageCheck | None:
    """The check behind an adapter's option; None for none.

    Raises:
        ConfigError: a guard for another stage, or something else.
    """
    if option is False:
        return None
    if option is True:
        return StageCheck(Guard(stage, engine=engine))
    if not isinstance(option, Guard):
        raise ConfigError(f"{stage}: expected a Guard, True or False, got {type(option).__name__}")
    if option.stage is not stage:
        raise ConfigError(f"{stage}: expected a Guard of this stage, got one of stage {option.stage.value!r}")
    return StageCheck(option)


def run_context(config: RunnableConfig | None = None, base: Context = NO_CONTEXT) -> Context:
    """``base`` with the ids that the audit record may know of the current run: its metadata's and its thread."""
    own = ensure_config(config)
    known = {**own.get("configurable", {}), **own.get("metadata", {})}
    return replace(base, metadata={key: str(known[key]) for key in _CONTEXT_KEYS if known.get(key)})


def _refused(result: GuardResult) -> GuardBlocked:
    try:
        result.raise_for_block()
    except GuardBlocked as error:
        return error.with_traceback(None)
    raise AssertionError("only called for blocked results")
