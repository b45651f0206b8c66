"""Changes to a recipe's rules, for one call or for good (packs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from guardrails_plugin import registry
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.policy import DISABLED
from guardrails_plugin.recipes.recipe import Recipe, Rule, explain

__all__ = ["Overrides", "overridden"]

Overrides = Mapping[str, Mapping[str, Any]]
"""Changes by rule name: ``{"pii": {"us_ssn": "encrypt"}, "secrets": {"disabled": True}}``."""

_RULE_FIELDS = frozenset({"action", "threshold", "disabled", "on_error", "timeout"})


def overridden(recipe: Recipe, overrides: Overrides) -> list[Rule]:
    """The rules of a recipe with the overrides applied.

    Raises:
        ConfigError: an unknown rule, a bad value, a contradiction.
    """
    if not isinstance(overrides, Mapping):
        raise ConfigError(f"overrides: expected a mapping of rule names, got {type(overrides).__name__}")
    names = {rule.name for rule in recipe.rules}
    for name, change in overrides.items():
        where = f"overrides[{name!r}]"
        if not isinstance(change, Mapping):
            raise ConfigError(f"{where}: expected a mapping, got {type(change).__name__}")
        off = set(change) == {"disabled"} and name in registry.names("detectors")
        if name not in names and not off:
            raise unknown_name("rule", name, names, f"overrides of recipe {recipe.name!r}")
    return [_changed(rule, overrides[rule.name]) if rule.name in overrides else rule for rule in recipe.rules]


def _changed(rule: Rule, change: Mapping[str, Any]) -> Rule:
    """The rule with an override applied. ``disabled = False`` and empty actions change nothing."""
    where = f"overrides[{rule.name!r}]"
    disabled = change.get("disabled", False)
    if not isinstance(disabled, bool):
        raise ConfigError(f"{where}.disabled: expected true or false, got {type(disabled).__name__}")
    if disabled and len(change) > 1:
        raise ConfigError(f"{where}: disabled and changed at once: {', '.join(sorted(set(change) - {'disabled'}))}")
    actions: dict[str, str] = {}
    for key, value in change.items():
        if key in _RULE_FIELDS:
            continue
        name = key if key == key.lower() and key.upper() not in rule.actions else key.upper()
        action = _single_action(value, f"{where}.{key}")
        if any(name.upper() == other.upper() and actions[other] != action for other in actions):
            raise ConfigError(f"{where}.{key}: given twice with different actions")
        if action:
            actions[name] = action
    # Written over the recipe's own spelling, so that one type never has two entries.
    kept = {name: action for name, action in rule.actions.items() if name.upper() not in {a.upper() for a in actions}}
    fields = {key: change[key] for key in _RULE_FIELDS - {"disabled"} if change.get(key) not in (None, "")}
    data = {**rule.model_dump(), "actions": {**kept, **actions}, **fields, "enabled": rule.enabled and not disabled}
    try:
        return Rule.model_validate(data)
    except ValidationError as error:
        raise explain(error, where, ".") from None


def _single_action(value: object, where: str) -> str:
    """An action's name; ``{"disabled": true}`` and ``"disabled"`` switch one type off."""
    if isinstance(value, Mapping) and set(value) == {"disabled"}:
        return DISABLED if value["disabled"] else ""
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected the name of an action, got {type(value).__name__}")
    return value
