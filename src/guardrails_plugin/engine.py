"""The facade and only composition root: contents in, results out. See `Engine.check` for the one flow."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.audit.record import audit_record
from guardrails_plugin.contract import require_parts
from guardrails_plugin.crypto import fpe_context
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.detect import Plan, detect
from guardrails_plugin.errors import ConfigError, SinkError, unknown_name
from guardrails_plugin.normalize import normalize
from guardrails_plugin.planning import Overrides, Planner
from guardrails_plugin.protocols import Action, Call, Detector, Scorer, Sink
from guardrails_plugin.recipes import (
    Recipe,
    builtin_packs,
    builtin_recipes,
    compliance_policies,
    load_recipes,
    pack_recipe,
)
from guardrails_plugin.results import concluded, new_call
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import (
    DEFAULT_ORIGINS,
    NO_CONTEXT,
    Context,
    GuardResult,
    Origin,
    Segment,
    Stage,
    Text,
)

__all__ = ["DEFAULT_ORIGINS", "Engine", "default_engine"]

_PLANS_KEPT = 256
_STAGES = frozenset(stage.value for stage in Stage)


class Engine:
    """Checks contents at stages. Thread-safe; one engine serves a whole application.

    Args:
        recipes: further recipes and packs (objects, a TOML file or a folder of them); one named like a stage
            belongs to that stage and replaces its default.
        keyring: keys for the ``encrypt`` and ``hash`` actions. There is no built-in key.
        sinks: where audit records go; none by default.
        detectors: detectors of your own by name, beside the registered ones; a rule says that one runs.
        actions: actions of your own by name.
        use_hyperscan: False takes the matching path that needs only pure wheels; None decides by what is installed.
        overrides: changes by rule name in every recipe that has such a rule, at every stage; a call's own overrides
            come on top. A detector that neither a stage's recipe nor one of ``recipes`` runs becomes a rule of all,
            when it is given an ``action``.

    Raises:
        ConfigError: an argument, a recipe or an override is wrong.

    >>> engine = Engine()
    >>> engine.check("My SSN is 536-90-4399.", stage="response").output
    'My SSN is <US_SSN>.'
    """

    def __init__(
        self,
        *,
        recipes: str | Path | Recipe | Iterable[Recipe] | None = None,
        keyring: Keyring | None = None,
        sinks: Sequence[Sink] = (),
        detectors: Mapping[str, Detector] | None = None,
        actions: Mapping[str, Action] | None = None,
        use_hyperscan: bool | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        own = load_recipes(recipes)
        self._recipes = _by_name((*builtin_recipes(), *own))
        if keyring is not None and not isinstance(keyring, Keyring):
            raise ConfigError(f"keyring: expected a Keyring, such as Keyring.from_env(), got {type(keyring).__name__}")
        self._keyring = keyring
        self._sinks = _listed("sinks", sinks)
        for index, sink in enumerate(self._sinks):
            require_parts("sink", sink, f"sinks[{index}]")
        self._planner = Planner(
            keyring=keyring, detectors=detectors, actions=actions, use_hyperscan=use_hyperscan, overrides=overrides
        )
        if overrides is not None:
            self._planner.check_overrides(self._recipes.values(), self.recipes())
        self._planner.check_recipes(own)
        self._plans: dict[tuple[str, str | None, str], Plan] = {}
        own_parts = keyring or sinks or detectors or actions
        self._config = (
            None
            if own_parts
            else {"recipes": own or None, "use_hyperscan": use_hyperscan, "overrides": overrides or None}
        )

    def extended(self, recipes: Iterable[Recipe]) -> Engine:
        """An engine that knows further recipes; it shares this one's detectors and compiled patterns.

        Cheap to make and to forget: a service has one for each tenant with recipes of its own.
        """
        engine = object.__new__(Engine)
        engine.__dict__ |= self.__dict__
        engine._recipes = self._recipes | _by_name(recipes)
        engine._planner = self._planner.child()
        engine._plans = {}
        engine._config = engine._config and {**engine._config, "recipes": tuple(engine._recipes.values())}
        return engine

    def check(
        self,
        content: object,
        *,
        stage: Stage | str,
        recipe: str | None = None,
        overrides: Overrides | None = None,
        context: Context | None = NO_CONTEXT,
        debug: bool = False,
    ) -> GuardResult:
        """Guard one content.

        Args:
            content: a string, provider messages, a tool call or any JSON.
            stage: where in the application it stands.
            recipe: name of a recipe; the stage's own by default.
            overrides: changes for this call, by rule name.
            context: what else is known; None for nothing.
            debug: keep every candidate in ``result.raw``.

        Raises:
            ConfigError: unknown stage, recipe, rule, action, contradictory overrides, or something else than a context.
            ContentError: a content that cannot be guarded.
            SinkError: an audit sink failed: nothing passes unrecorded.
        """
        return self._check([content], self._plan(stage, recipe, overrides), [_context(context)], debug=debug)[0]

    def check_batch(
        self,
        contents: Iterable[object],
        *,
        stage: Stage | str,
        recipe: str | None = None,
        overrides: Overrides | None = None,
        context: Context | Sequence[Context] | None = NO_CONTEXT,
        debug: bool = False,
    ) -> list[GuardResult]:
        """Guard many contents at once; models see them as one batch.

        Args:
            contents: see `check`.
            stage: see `check`.
            recipe: see `check`.
            overrides: see `check`.
            context: one for all, or one for each.
            debug: see `check`.

        Returns:
            One result per content, in order.
        """
        contents = _listed("contents", contents)
        plan = self._plan(stage, recipe, overrides)
        contexts = (
            [_context(one) for one in context]
            if isinstance(context, (list, tuple))
            else [_context(context)] * len(contents)
        )
        if len(contexts) != len(contents):
            raise ConfigError(
                f"context: expected one, or one for each of {len(contents)} contents, got {len(contexts)}"
            )
        return self._check(contents, plan, contexts, debug=debug)

    async def acheck(
        self,
        content: object,
        *,
        stage: Stage | str,
        recipe: str | None = None,
        overrides: Overrides | None = None,
        context: Context | None = NO_CONTEXT,
        debug: bool = False,
    ) -> GuardResult:
        """`check` on a worker thread, so that the event loop stays free."""
        # Deferred: a good part of the package's import time, and only needed here.
        import asyncio

        return await asyncio.to_thread(
            self.check, content, stage=stage, recipe=recipe, overrides=overrides, context=context, debug=debug
        )

    def stream(
        self,
        *,
        stage: Stage | str = Stage.RESPONSE,
        recipe: str | None = None,
        overrides: Overrides | None = None,
        context: Context | None = NO_CONTEXT,
    ) -> StreamGuard:
        """A guard for text that arrives in chunks: ``feed(chunk)`` releases what is safe, ``finish()`` the rest."""
        plan = self._plan(stage, recipe, overrides)
        known = _context(context)
        call = new_call(self._keyring, known)
        origin = DEFAULT_ORIGINS[plan.stage]

        def whole(text: str) -> GuardResult:
            return self._check([Segment(text, origin)], plan, [known], call=call)[0]

        return StreamGuard(plan, whole, call=call, origin=origin, context=known)

    @property
    def keyring(self) -> Keyring | None:
        """The keys it was given."""
        return self._keyring

    def unredact(self, content: object, token: str, *, tenant: str = "", types: Container[str] | None = None) -> Any:
        """The content with encrypted values turned back; values are found by what they are, wherever they stand.

        Args:
            content: a string or any JSON.
            token: ``fpe_context`` of the result that encrypted them.
            tenant: the tenant of the context they were encrypted under.
            types: entity types to turn back, in any case; all by default.

        Raises:
            ConfigError: no keyring, a single string for types, a type that does not exist, or a token that is not
                ours, was changed, or belongs to another tenant.
        """
        if self._keyring is None:
            raise ConfigError("unredact needs the keyring that encrypted: Engine(keyring=...)")
        if isinstance(types, str):
            raise ConfigError(f"types: expected a list of entity types, got the string {types[:80]!r}")
        opened = fpe_context.open_(token, self._keyring, tenant)
        if isinstance(types, Iterable):
            types = self._planner.entity_types(types, {entry.entity_type for entry in opened.entries})
        found = conversation.segments(content, Origin.MODEL)
        return conversation.substitute(content, [opened.restore(segment.text, types) for segment in found])

    def score(self, detector: str, texts: Iterable[str], *, origin: Origin | str = Origin.USER) -> list[float]:
        """Calibrated probabilities, one per text, below any threshold too.

        Raises:
            ConfigError: the detector gives no probabilities, the origin does not exist, or a single string for texts.
        """
        texts = _listed("texts", texts)
        scorer = self._planner.detector(detector)
        if not isinstance(scorer, Scorer):
            raise ConfigError(f"detector {detector!r} gives no probabilities")
        who = _enum(Origin, origin, "origin")
        return list(scorer.score([normalize(Segment(text, who), index) for index, text in enumerate(texts)]))

    def scores(self, detector: str) -> bool:
        """Whether a detector gives probabilities, and so has operating points; a `ConfigError` when there is none."""
        return isinstance(self._planner.detector(detector), Scorer)

    def operating_point(self, detector: str, name: str, *, origin: Origin | str = Origin.USER) -> float:
        """The threshold behind ``strict``, ``balanced`` or ``permissive``.

        Raises:
            ConfigError: the detector gives no probabilities, or there is no such point or origin.
        """
        scorer = self._planner.detector(detector)
        if not isinstance(scorer, Scorer):
            raise ConfigError(f"detector {detector!r} has no operating points")
        return scorer.operating_point(name, _enum(Origin, origin, "origin"))

    def recipes(self) -> tuple[Recipe, ...]:
        """Every recipe this engine knows."""
        shipped = ((name, stage) for name in (*builtin_packs(), *compliance_policies()) for stage in Stage)
        packs = (pack_recipe(name, stage) for name, stage in shipped if (name, stage) not in self._recipes)
        return (*self._recipes.values(), *(recipe for recipe in packs if recipe is not None))

    def fingerprint(self, *, stage: Stage | str, recipe: str | None = None, overrides: Overrides | None = None) -> str:
        """Identifies the policy of a stage: caches of guarded content must change when it does."""
        return self._plan(stage, recipe, overrides).fingerprint

    def require_types(
        self,
        names: Iterable[str],
        *,
        stage: Stage | str,
        recipe: str | None = None,
        overrides: Overrides | None = None,
        where: str = "types",
    ) -> None:
        """Accepts entity types that the policy of a stage, or one that was used before, can find.

        Raises:
            ConfigError: another one; the message lists the valid ones.
        """
        self._plan(stage, recipe, overrides)
        self._planner.entity_types(names, (), where)

    def is_quick(self, *, stage: Stage | str, recipe: str | None = None, overrides: Overrides | None = None) -> bool:
        """Whether this policy was used before and asks no model, so that an event loop may check short texts itself.

        For texts alone: with a system prompt or metadata in their context it may ask one all the same.
        """
        plan = self._plans.get(_plan_key(stage, recipe, overrides))
        return plan is not None and all(step.quick for step in plan.steps)

    def _check(
        self,
        contents: Sequence[object],
        plan: Plan,
        contexts: Sequence[Context],
        *,
        debug: bool = False,
        call: Call | None = None,
    ) -> list[GuardResult]:
        """The one flow: normalise, detect, decide, rewrite, record."""
        timings: dict[str, float] = {}
        began = perf_counter()
        origin = DEFAULT_ORIGINS[plan.stage]
        texts = [_normalized(content, origin) for content in contents]
        timings["normalize"] = perf_counter() - began
        outcomes = detect(texts, plan, contexts, timings)
        results = []
        for content, outcome, context in zip(contents, outcomes, contexts, strict=True):
            own = call or new_call(self._keyring, context)
            decided = concluded(content, outcome, plan, own, debug=debug)
            result = replace(decided, timings={**timings, "total": perf_counter() - began})
            results.append(result)
            if self._sinks:
                record = audit_record(result, context, plan.fingerprint)
                for sink in self._sinks:
                    _write(sink, record)
        return results

    def _plan(self, stage: Stage | str, recipe: str | None, overrides: Overrides | None) -> Plan:
        key = _plan_key(stage, recipe, overrides)
        plan = self._plans.get(key)
        if plan is None:
            where = _enum(Stage, stage, "stage")
            plan = self._planner.plan(self._recipe(where, recipe), where, overrides)
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _recipe(self, stage: Stage, name: str | None) -> Recipe:
        name = name or stage.value
        found = self._recipes.get((name, stage)) or self._recipes.get((name, None)) or pack_recipe(name, stage)
        if found is None:
            elsewhere = sorted(own.value for known, own in self._recipes if known == name and own)
            if elsewhere:
                raise ConfigError(f"recipe {name!r} is for stage {', '.join(elsewhere)}, not {stage.value}")
            raise unknown_name("recipe", name, {recipe.name for recipe in self.recipes()})
        return found

    def __repr__(self) -> str:
        recipes = {recipe.name for recipe in self.recipes()}
        return f"<Engine with {len(recipes)} recipes and {len(self._planner.detectors())} detectors>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Engine:
        return self

    def __copy__(self) -> Engine:
        return self

    def __reduce__(self) -> tuple[Callable[..., Engine], tuple[Any, ...]]:
        if self._config is None:
            raise ConfigError(
                "an engine with a keyring, sinks, detectors or actions of its own cannot be pickled (keys would "
                "travel with it); build one in each process"
            )
        return _rebuilt, (self._config,)


def _rebuilt(config: Mapping[str, Any]) -> Engine:
    """What unpickling gives: this process's shared engine when nothing was configured."""
    return Engine(**config) if any(value is not None for value in config.values()) else default_engine()


@cache
def default_engine() -> Engine:
    """The engine of this process with the built-in recipes, made at first use; adapters share it."""
    return Engine()


def _listed(name: str, given: Any) -> tuple[Any, ...]:
    """What was given one after the other; a string or a mapping would be taken apart."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError(f"{name}: expected a list, got {type(given).__name__}")
    return tuple(given)


def _write(sink: Sink, record: Mapping[str, Any]) -> None:
    try:
        sink.write(record)
    except Exception as error:
        raise SinkError(type(sink).__name__, type(error).__name__) from error


def _context(given: object) -> Context:
    if given is None:
        return NO_CONTEXT
    if not isinstance(given, Context):
        raise ConfigError(f"context: expected a Context, such as Context(prompt=...), got {type(given).__name__}")
    return given


def _by_name(recipes: Iterable[Recipe]) -> dict[tuple[str, Stage | None], Recipe]:
    placed = (
        recipe.model_copy(update={"stage": Stage(recipe.name)})
        if recipe.stage is None and recipe.name in _STAGES
        else recipe
        for recipe in recipes
    )
    return {(recipe.name, recipe.stage): recipe for recipe in placed}


def _enum(kind: Any, value: object, what: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise unknown_name(what, value, [member.value for member in kind]) from None


def _plan_key(stage: Stage | str, recipe: str | None, overrides: Overrides | None) -> tuple[str, str | None, str]:
    if recipe is not None and not isinstance(recipe, str):
        given = type(recipe).__name__
        raise ConfigError(f"recipe: expected a name, got {given}; a recipe itself is given to Engine(recipes=...)")
    return str(stage), recipe, repr(overrides) if overrides else ""


def _normalized(content: object, origin: Origin) -> list[Text]:
    return [normalize(segment, index) for index, segment in enumerate(conversation.segments(content, origin))]
