"""From a recipe to a plan: names become detectors and actions, overrides are applied, patterns compiled.

Everything that can be wrong with a recipe or an override is found here, before any text is looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Container, Iterable, Mapping, MutableMapping
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from guardrails_plugin import registry
from guardrails_plugin.allow_list import AllowList
from guardrails_plugin.contract import require_named, require_parts
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.detect import Plan, Step
from guardrails_plugin.detectors.base import PatternBase
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.matching import Matcher
from guardrails_plugin.policy import DISABLED, Ruling
from guardrails_plugin.protocols import Action, Detector, Scorer
from guardrails_plugin.recipes.overrides import Overrides, added_rules, overridden, require_rules, with_defaults
from guardrails_plugin.recipes.recipe import Recipe, Rule, explain
from guardrails_plugin.types import Origin, Stage, Verdict

__all__ = ["Overrides", "Planner"]


class Planner:
    """Builds plans; keeps detectors and compiled matchers so that plans share them.

    Args:
        keyring: for actions that need one.
        detectors: by name, before the registered ones.
        actions: by name, before the registered ones.
        use_hyperscan: see `Matcher`.
        overrides: changes to every recipe that has such rules, under those of a call.
    """

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        detectors: Mapping[str, Detector] | None = None,
        actions: Mapping[str, Action] | None = None,
        use_hyperscan: bool | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        self._keyring = keyring
        self._detectors: MutableMapping[tuple[str, str], Detector] = {}
        require_named("detector", detectors or {})
        require_named("action", actions or {})
        self._given = dict(detectors or {})
        self._actions: dict[str, Action] = dict(actions or {})
        self._matchers: MutableMapping[frozenset[tuple[str, int]], Matcher] = {}
        self._use_hyperscan = use_hyperscan
        self._overrides: Overrides = deepcopy(overrides or {})
        self._added: tuple[Rule, ...] = ()

    def child(self) -> Planner:
        """A planner that has everything this one has made, and keeps what it makes itself to itself."""
        child = object.__new__(Planner)
        child.__dict__ |= self.__dict__
        child._detectors = ChainMap({}, self._detectors)
        child._actions = dict(self._actions)
        child._matchers = ChainMap({}, self._matchers)
        return child

    def plan(self, recipe: Recipe, stage: Stage, overrides: Overrides | None = None) -> Plan:
        """The recipe, changed by the overrides, ready to run at a stage.

        Raises:
            ConfigError: an unknown name, a bad setting, a contradictory override, a missing key.
        """
        recipe = self._with_defaults(recipe)
        rules = overridden(recipe, overrides) if overrides else recipe.rules
        enabled = [(index, rule) for index, rule in enumerate(rules) if rule.enabled]
        steps = tuple(self._step(rule, recipe, index) for index, rule in enabled if not rule.missing)
        left_out = tuple(rule.name for _, rule in enabled if rule.missing)
        used = {name for step in steps for name in (step.ruling.default, *step.ruling.by_type.values())}
        return Plan(
            recipe=recipe.name,
            stage=stage,
            steps=steps,
            matcher=self._matcher(steps),
            actions={name: self._action(name, recipe.name) for name in used - {DISABLED}},
            fingerprint=_fingerprint(recipe, overrides, left_out),
            deadline=recipe.deadline,
            shadow=recipe.mode == "shadow",
            stream=recipe.stream,
            left_out=left_out,
        )

    def check_overrides(self, own: Iterable[Recipe], recipes: Iterable[Recipe]) -> None:
        """Applies the planner's own overrides to all recipes, so that mistakes show before the first text.

        Args:
            own: the stages' recipes and the user's; a detector that none of them runs is added to all, when its
                override gives it an action.
            recipes: all of them, packs too.

        Raises:
            ConfigError: a rule that none of them has, a bad value, an entity type that a rule cannot find.
        """
        if not isinstance(self._overrides, Mapping):
            raise ConfigError(f"overrides: expected a mapping of rule names, got {type(self._overrides).__name__}")
        known, detectors = tuple(recipes), self.detectors()
        self._added = added_rules(self._overrides, own, detectors)
        named = {name: change for name, change in self._overrides.items() if name not in {r.name for r in self._added}}
        require_rules(named, known, detectors)
        self._check_rules(known, lambda rule: rule.name in self._overrides)

    def check_recipes(self, recipes: Iterable[Recipe]) -> None:
        """Looks for mistakes in names and settings before the first text; compiles no pattern and loads no model.

        Raises:
            ConfigError: see `plan`.
        """
        self._check_rules(recipes, lambda _: True)

    def _check_rules(self, recipes: Iterable[Recipe], wanted: Callable[[Rule], bool]) -> None:
        for recipe in map(self._with_defaults, recipes):
            for index, rule in enumerate(recipe.rules):
                if rule.enabled and wanted(rule) and not rule.missing:
                    self._check_rule(rule, recipe, index)

    def _check_rule(self, rule: Rule, recipe: Recipe, index: int) -> None:
        detector = self.detector(rule.detector, rule.settings, _place(recipe, index))
        # A model knows its operating points once it is loaded.
        points: dict[str, Any] = {"threshold": {}} if isinstance(detector, Scorer) else {}
        self._step(rule.model_copy(update=points), recipe, index)

    def _with_defaults(self, recipe: Recipe) -> Recipe:
        return with_defaults(recipe, self._overrides, self._added)

    def detectors(self) -> frozenset[str]:
        """The names that rules can give."""
        return frozenset((*registry.names("detectors"), *self._given))

    def detector(self, name: str, settings: Mapping[str, Any] | None = None, where: str = "engine") -> Detector:
        """The detector of that name with these settings; the same object for the same settings."""
        settings = dict(settings or {})
        if not settings and name in self._given:
            return self._given[name]
        key = (name, json.dumps(settings, sort_keys=True, default=repr))
        if key not in self._detectors:
            self._detectors[key] = _build(name, settings, where)
        return self._detectors[key]

    def entity_types(self, names: Iterable[str], also: Container[str], where: str = "types") -> frozenset[str]:
        """Entity types by their names in any case.

        Raises:
            ConfigError: one that is neither of ``also`` nor of any detector in use or of `pii` and `secrets`.
        """
        wanted = {str(name).upper() for name in names}
        if all(name in also for name in wanted):
            return frozenset(wanted)
        used = (*self._given.values(), *self._detectors.values(), self.detector("pii"), self.detector("secrets"))
        known = frozenset().union(*(detector.entity_types for detector in used))
        for name in wanted:
            if name not in also and name not in known:
                raise unknown_name("entity type", name, known, where)
        return frozenset(wanted)

    def _step(self, rule: Rule, recipe: Recipe, index: int) -> Step:
        where = _place(recipe, index)
        detector = self.detector(rule.detector, rule.settings, where)
        return Step(
            name=rule.name,
            detector=detector,
            ruling=self._ruling(rule, detector, where, Verdict.REPORT if recipe.mode == "shadow" else Verdict.BLOCK),
            blocks_on_error=rule.on_error == "block" and recipe.mode != "shadow",
            timeout=rule.timeout,
        )

    def _ruling(self, rule: Rule, detector: Detector, where: str, worst: Verdict) -> Ruling:
        by_type = {
            entity: self._available(action, where)
            for name, action in sorted(rule.actions.items(), key=lambda item: item[0] not in detector.categories)
            for entity in _entities(name, detector, f"{where}.actions")
        }
        default = self._available(rule.action, where)
        used = {default, *by_type.values()} - {DISABLED}
        verdicts = {name: min(self._action(name, where).verdict, worst) for name in used}
        thresholds = {origin: _threshold(value, detector, origin, where) for origin, value in rule.threshold.items()}
        return Ruling(default, by_type, thresholds, verdicts, rule.trusted, AllowList(rule.allow))

    def _available(self, action: str, where: str) -> str:
        """The first of ``"encrypt|replace"`` that can be used here."""
        choices = [choice.strip() for choice in action.split("|")]
        for choice in choices[:-1]:
            if self._keyring is not None or not getattr(self._action(choice, where), "requires_keyring", False):
                return choice
        last = choices[-1]
        if last != DISABLED and getattr(self._action(last, where), "requires_keyring", False) and not self._keyring:
            raise ConfigError(f"{where}: action {last!r} needs a keyring: Engine(keyring=Keyring.generate())")
        return last

    def _action(self, name: str, where: str) -> Action:
        if name not in self._actions:
            if name not in registry.names("actions"):
                raise unknown_name("action", name, (*registry.names("actions"), *self._actions, DISABLED), where)
            self._actions[name] = registry.load("actions", name)()
        return self._actions[name]

    def _matcher(self, steps: tuple[Step, ...]) -> Matcher:
        # Sorted, so that recipes which differ in order alone share one database.
        tables = {
            step.name: step.detector
            for step in sorted(steps, key=lambda step: step.name)
            if isinstance(step.detector, PatternBase)
        }
        key = frozenset((name, id(detector)) for name, detector in tables.items())
        if key not in self._matchers:
            # Compiling takes seconds: a recipe with fewer rules than another runs on the other's database.
            larger = min((known for known in tuple(self._matchers) if key < known), key=len, default=None)
            self._matchers[key] = (
                self._matchers[larger].narrowed(tables, alone=True) if larger and key else self._compiled(tables)
            )
        return self._matchers[key]

    def _compiled(self, tables: Mapping[str, PatternBase]) -> Matcher:
        patterns = {name: detector.patterns for name, detector in tables.items()}
        return Matcher(patterns, use_hyperscan=self._use_hyperscan)


def _place(recipe: Recipe, index: int) -> str:
    return f"recipe {recipe.name!r}: rules[{index}]"


def _build(name: str, settings: Mapping[str, Any], where: str) -> Detector:
    if name not in registry.names("detectors"):
        raise unknown_name("detector", name, registry.names("detectors"), where)
    try:
        detector: Detector = registry.load("detectors", name)(**settings)
    except ValidationError as error:
        raise explain(error, f"{where}.settings", ".") from None
    require_parts("detector", detector, f"{where}: detector {name!r}")
    return detector


def _threshold(value: float | str, detector: Detector, origin: Origin, where: str) -> float:
    if isinstance(value, str):
        if not isinstance(detector, Scorer):
            raise ConfigError(f"{where}.threshold: detector {detector.name!r} has no operating points, give 0..1")
        return detector.operating_point(value, origin)
    return float(value)


def _entities(name: str, detector: Detector, where: str) -> frozenset[str]:
    """The entity types behind a name in a recipe or an override: a category, or one type in any case."""
    if name in detector.categories:
        return detector.categories[name]
    if name.upper() in detector.entity_types or not detector.entity_types:
        return frozenset({name.upper()})
    raise unknown_name("entity type or category", name, (*detector.categories, *detector.entity_types), where)


def _fingerprint(recipe: Recipe, overrides: Overrides | None, left_out: Iterable[str] = ()) -> str:
    content = recipe.model_dump_json() + json.dumps(overrides or {}, sort_keys=True, default=repr) + "".join(left_out)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
