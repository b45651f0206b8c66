"""Changes to a recipe's rules, for one call or for good (packs)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from guardrails_plugin import registry
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.policy import DISABLED
from guardrails_plugin.recipes.recipe import Recipe, Rule, explain

__all__ = ["Overrides", "added_rules", "joined", "overridden", "with_defaults"]

Overrides = Mapping[str, Mapping[str, Any]]
"""Changes by rule name: ``{"pii": {"us_ssn": "encrypt"}, "secrets": {"disabled": True}}``."""

_SWITCHES = frozenset({"disabled", "enabled"})
_RULE_FIELDS = frozenset({"action", "allow", "threshold", "on_error", "timeout"})


def joined(general: Overrides, special: Overrides) -> dict[str, dict[str, Any]]:
    """Both overrides: the special ones win, allow-lists add up."""
    names = dict.fromkeys((*general, *special))
    return {name: _both(general.get(name, {}), special.get(name, {})) for name in names}


def _both(general: Mapping[str, Any], special: Mapping[str, Any]) -> dict[str, Any]:
    both = {**general, **special}
    if "allow" in general and "allow" in special:
        both["allow"] = [*_entries(general["allow"], "allow"), *_entries(special["allow"], "allow")]
    return both


def overridden(recipe: Recipe, overrides: Overrides) -> list[Rule]:
    """The rules of a recipe with the overrides applied.

    Raises:
        ConfigError: an unknown rule, a bad value, a contradiction.
    """
    if not isinstance(overrides, Mapping):
        raise ConfigError(f"overrides: expected a mapping of rule names, got {type(overrides).__name__}")
    where = f"overrides of recipe {recipe.name!r}"
    require_rules(overrides, [recipe], registry.names("detectors"), where)
    return [_changed(rule, overrides[rule.name]) if rule.name in overrides else rule for rule in recipe.rules]


def require_rules(
    overrides: Overrides, recipes: Iterable[Recipe], detectors: Container[str], where: str = "overrides of the engine"
) -> None:
    """Every override is of a rule that one of the recipes has; a detector that none runs can only be switched off.

    Raises:
        ConfigError: it is not.
    """
    names = {rule.name for recipe in recipes for rule in recipe.rules}
    for name, change in overrides.items():
        if not isinstance(change, Mapping):
            raise ConfigError(f"overrides[{name!r}]: expected a mapping, got {type(change).__name__}")
        if name in names or (name in detectors and set(change) <= _SWITCHES):
            continue
        unknown = unknown_name("rule", name, names, where)
        raise ConfigError(f"{unknown}; {_ADDING}") if name in detectors else unknown


_ADDING = "a detector that no rule runs is added by a recipe, or by Engine(overrides=...) with an action"


def added_rules(overrides: Overrides, recipes: Iterable[Recipe], detectors: Container[str]) -> tuple[Rule, ...]:
    """Rules for detectors that none of the recipes runs and that an override gives an action."""
    names = {rule.name for recipe in recipes for rule in recipe.rules}
    return tuple(
        Rule(detector=name)
        for name, change in overrides.items()
        if name not in names and name in detectors and isinstance(change, Mapping) and change.get("action")
    )


def with_defaults(recipe: Recipe, overrides: Overrides, added: Iterable[Rule] = ()) -> Recipe:
    """The recipe with those of the overrides whose rules it has; a call's own overrides come on top.

    Args:
        recipe: which recipe.
        overrides: changes by rule name.
        added: rules that come behind its own, unless it has one of that name.

    Raises:
        ConfigError: a bad value, a contradiction.
    """
    names = {rule.name for rule in recipe.rules}
    rules = [*recipe.rules, *(rule for rule in added if rule.name not in names)]
    own = {rule.name: overrides[rule.name] for rule in rules if rule.name in overrides}
    if not own:
        return recipe
    recipe = recipe.model_copy(update={"rules": rules})
    return recipe.model_copy(update={"rules": overridden(recipe, own)})


def _changed(rule: Rule, change: Mapping[str, Any]) -> Rule:
    """The rule with an override applied. ``disabled = False`` and empty actions change nothing."""
    where = f"overrides[{rule.name!r}]"
    enabled = _switched(change, where)
    if enabled is False and len(change) > 1:
        raise ConfigError(f"{where}: disabled and changed at once: {', '.join(sorted(set(change) - _SWITCHES))}")
    actions: dict[str, str] = {}
    for key, value in change.items():
        if key in _RULE_FIELDS | _SWITCHES:
            continue
        name = key if key == key.lower() and key.upper() not in rule.actions else key.upper()
        action = _single_action(value, f"{where}.{key}")
        if any(name.upper() == other.upper() and actions[other] != action for other in actions):
            raise ConfigError(f"{where}.{key}: given twice with different actions")
        if action:
            actions[name] = action
    # Written over the recipe's own spelling, so that one type never has two entries.
    kept = {name: action for name, action in rule.actions.items() if name.upper() not in {a.upper() for a in actions}}
    fields = {key: change[key] for key in _RULE_FIELDS if change.get(key) not in (None, "")}
    if "allow" in fields:
        fields["allow"] = rule.allow.union(_entries(fields["allow"], f"{where}.allow"))
    switched = {} if enabled is None else {"enabled": enabled}
    data = {**rule.model_dump(), "actions": {**kept, **actions}, **fields, **switched}
    try:
        return Rule.model_validate(data)
    except ValidationError as error:
        raise explain(error, where, ".") from None


def _switched(change: Mapping[str, Any], where: str) -> bool | None:
    """Whether the rule is to run; None: as before. ``enabled`` and ``disabled`` say the same."""
    for switch in _SWITCHES & set(change):
        if not isinstance(change[switch], bool):
            raise ConfigError(f"{where}.{switch}: expected true or false, got {type(change[switch]).__name__}")
    if set(change) >= _SWITCHES:
        raise ConfigError(f"{where}: expected disabled or enabled, got both")
    if "enabled" in change:
        return bool(change["enabled"])
    return False if change.get("disabled") else None


def _entries(value: object, where: str) -> list[str]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise ConfigError(f"{where}: expected a list of texts, got {type(value).__name__}")
    wrong = [entry for entry in value if not isinstance(entry, str)]
    if wrong:
        raise ConfigError(f"{where}: expected a list of texts, got {type(wrong[0]).__name__} in it")
    return list(value)


def _single_action(value: object, where: str) -> str:
    """An action's name; ``{"disabled": true}`` and ``"disabled"`` switch one type off."""
    if isinstance(value, Mapping) and set(value) == {"disabled"}:
        return DISABLED if value["disabled"] else ""
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected the name of an action, got {type(value).__name__}")
    return value
