"""One stage as the adapters ask it: any LangChain object in, the same object guarded out, or `GuardBlocked`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig

from guardrails_plugin.by_stage import Overrides, Recipes, by_stage
from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.engine import DEFAULT_ORIGINS, Engine, default_engine
from guardrails_plugin.errors import ConfigError, GuardBlocked
from guardrails_plugin.langchain.chunks import ChunkGuard
from guardrails_plugin.langchain.context import run_config, run_context
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.langchain.runs import tell
from guardrails_plugin.langchain.values import walker
from guardrails_plugin.types import NO_CONTEXT, Context, GuardResult, Origin, Stage

__all__ = ["Checked", "Option", "StageCheck", "StagePolicies", "check_at"]

Option: TypeAlias = Guard | bool
"""What an adapter takes for a stage: a guard of one's own, True for the stage's recipe, False for none."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A guarded value and how it was guarded."""

    value: Any = field(repr=False)
    result: GuardResult


class StageCheck:
    """The policy of a `Guard`, asked with what an adapter knows beside the content.

    Contexts that are handed in are completed with what the current run says about itself; it is told the verdicts.

    Args:
        guard: whose stage, recipe, overrides, tenant and engine count.
        config: of the run; the current one by default.
    """

    def __init__(self, guard: Guard, config: RunnableConfig | None = None) -> None:
        self.guard = guard
        self._config = config
        self.stage = guard.stage
        self.engine = guard.engine

    def of_run(self, run_manager: Any) -> StageCheck:
        """The check for the run of a model or retriever: LangChain does not make its config the current one."""
        if run_manager is None:
            return self
        return StageCheck(self.guard, run_config(run_manager))

    def context(self, base: Context = NO_CONTEXT) -> Context:
        """``base`` with what the current run says about itself, and the guard's tenant."""
        return run_context(self._config, base, tenant=self.guard.tenant)

    @property
    def tenant(self) -> str:
        """Whose keys and tokens are used in the current run."""
        return self.context().tenant

    def require_types(self, names: Iterable[str], where: str) -> None:
        """Only entity types that this policy or another one of its engine can find.

        Raises:
            ConfigError: another one; the message lists the valid ones.
        """
        self.engine.require_types(
            names, stage=self.stage, recipe=self.guard.recipe, overrides=self.guard.overrides, where=where
        )

    def __call__(self, value: Any, context: Context = NO_CONTEXT, *, origin: Origin | None = None) -> Checked:
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
        self, values: Sequence[Any], context: Context = NO_CONTEXT, *, origin: Origin | None = None
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
            context=self.context(context),
        )
        self._tell(results)
        return [
            _refused(result) if result.blocked else Checked(substitute(value, result.output, foreign), result)
            for value, result in zip(values, results, strict=True)
        ]

    def chunks(self, refusal: str | None, context: Context = NO_CONTEXT) -> ChunkGuard:
        """A guard for one stream; ``refusal`` ends a refused one, None raises."""
        own = self.context(context)
        stream = partial(
            self.engine.stream,
            stage=self.stage,
            recipe=self.guard.recipe,
            overrides=self.guard.overrides,
            context=own,
        )

        def whole(value: Any) -> Any:
            checked = self.each([value], own)[0]
            return checked.value if isinstance(checked, Checked) else checked

        return ChunkGuard(stream, whole, self.stage, refusal, told=self._tell)

    def _tell(self, results: Sequence[GuardResult]) -> None:
        tell(results, self._config)


class StagePolicies:
    """What an adapter is told about its stages beside their options: engine, recipes and overrides.

    Args:
        engine: of the stages without a guard of their own.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.

    Raises:
        ConfigError: an unknown stage, recipe, rule or action.
    """

    def __init__(
        self, engine: Engine | None = None, recipes: Recipes | None = None, overrides: Overrides | None = None
    ) -> None:
        self._engine = engine
        self._recipes, self._overrides = by_stage(engine or default_engine(), recipes, overrides)

    def at(self, option: Option, stage: Stage) -> StageCheck | None:
        """The check behind an adapter's option, see `check_at`.

        Raises:
            ConfigError: also a guard where a recipe or overrides are given, too: only one of them can count.
        """
        told = {"recipe": self._recipes.get(stage), "overrides": self._overrides.get(stage)}
        if option is True:
            return StageCheck(Guard(stage, engine=self._engine, **told))
        if isinstance(option, Guard) and (given := [name for name, value in told.items() if value is not None]):
            raise ConfigError(f"{stage}: expected a Guard or {' and '.join(given)} of this stage, got both")
        return check_at(option, stage)


def check_at(option: Option, stage: Stage) -> StageCheck | None:
    """The check behind an adapter's option; None for none.

    Raises:
        ConfigError: a guard for another stage, one that says itself what becomes of blocks, or something else.
    """
    if option is False:
        return None
    if option is True:
        return StageCheck(Guard(stage))
    if not isinstance(option, Guard):
        raise ConfigError(f"{stage}: expected a Guard, True or False, got {type(option).__name__}")
    if option.stage is not stage:
        raise ConfigError(f"{stage}: expected a Guard of this stage, got one of stage {option.stage.value!r}")
    for name in ("on_block", "refusal"):
        if (given := getattr(option, name)) != Guard.model_fields[name].default:
            shown = f" ({given!r})" if name == "on_block" else ""
            raise ConfigError(
                f"{stage}: {name}{shown} of this Guard would do nothing: what becomes of a block is decided where the"
                f" guard is handed to; use {name}= there, if there is one"
            )
    return StageCheck(option)


def _refused(result: GuardResult) -> GuardBlocked:
    try:
        result.raise_for_block()
    except GuardBlocked as error:
        return error.with_traceback(None)
    raise AssertionError("only called for blocked results")
