"""Packs: one file that changes the built-in recipe of every stage, for a kind of application or a regulation.

``recipe="financial"`` then means that pack's part for whatever stage is guarded. Template packs live in ``packs/``,
compliance policies in ``policies/``; a policy also lists its conditions, with what each asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes.overrides import joined, overridden
from guardrails_plugin.recipes.recipe import Recipe, Rule
from guardrails_plugin.types import Stage

__all__ = ["Added", "Condition", "Listing", "Pack"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Added(Rule):
    """A rule that a pack adds, and the stages it is added to: all of them when none is named."""

    stages: frozenset[Stage] = frozenset(Stage)
    first: bool = False
    """Whether it stands before the stage's own rules, so that it runs although one of them blocks."""


class Listing(BaseModel):
    """What a list of packs says about this one.

    Attributes:
        filters: kinds of content it looks for.
        redact: whether it redacts rather than reports.
        toxicity_threshold: probability from which text counts as toxic.
    """

    model_config = _STRICT

    use_cases: Sequence[str] = ()
    filters: Sequence[str] = ()
    redact: bool = False
    toxicity_threshold: float = Field(default=0.7, ge=0, le=1)


class Condition(BaseModel):
    """One condition of a compliance policy.

    Attributes:
        entity_types: what in a text meets it; empty for a duty of the application that no text shows.
        action: what the policy asks for.
        priority: the highest of the conditions that are met decides.
    """

    model_config = _STRICT

    condition: str
    description: str
    action: Literal["BLOCK", "REDACT", "FLAG", "LOG"]
    priority: Annotated[int, Field(ge=0, le=10)]
    entity_types: frozenset[str] = frozenset()


class Pack(BaseModel):
    """A pack as its file says it.

    Attributes:
        change: changes by rule name, as overrides have them, at every stage with such a rule; ``settings`` are
            joined with the rule's own.
        stages: further changes for single stages, which win.
        add: rules added behind the stage's own.
        conditions: of a compliance policy.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    title: str = ""
    description: str
    version: int = 1
    listing: Listing = Listing()
    conditions: Sequence[Condition] = ()
    change: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    stages: Mapping[Stage, Mapping[str, Mapping[str, Any]]] = Field(default_factory=dict)
    add: Sequence[Added] = ()

    def recipes(self, bases: Sequence[Recipe]) -> tuple[Recipe, ...]:
        """The recipe of every stage.

        Raises:
            ConfigError: a change names a rule that no stage has, or is wrong in itself.
        """
        known = {rule.name for base in bases for rule in base.rules}
        named = {*self.change, *(name for changes in self.stages.values() for name in changes)}
        if unknown := sorted(named - known):
            valid = ", ".join(sorted(known))
            raise ConfigError(f"pack {self.name!r}: no stage has a rule {', '.join(unknown)}; valid: {valid}")
        return tuple(self._recipe(base, base.stage) for base in bases if base.stage is not None)

    def _recipe(self, base: Recipe, stage: Stage) -> Recipe:
        names = {rule.name for rule in base.rules}
        general = {name: change for name, change in self.change.items() if name in names}
        changes = joined(general, self.stages.get(stage, {}))
        bare = {name: {k: v for k, v in change.items() if k != "settings"} for name, change in changes.items()}
        rules = [_set(rule, changes.get(rule.name, {})) for rule in base.rules]
        rules = overridden(base.model_copy(update={"name": self.name, "rules": rules}), bare)
        added = [rule for rule in self.add if stage in rule.stages]
        before, behind = ([_plain(rule) for rule in added if rule.first is first] for first in (True, False))
        fields: dict[str, Any] = {"name": self.name, "description": self.description, "version": self.version}
        return base.model_copy(update={**fields, "rules": [*before, *rules, *behind]})


def _set(rule: Rule, change: Mapping[str, Any]) -> Rule:
    return rule.model_copy(update={"settings": {**rule.settings, **change.get("settings", {})}})


def _plain(added: Added) -> Rule:
    return Rule.model_validate(added.model_dump(exclude={"stages", "first"}))
