"""Recipes and overrides by stage, as the doors of all adapters take them: one mapping for every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.types import Stage

__all__ = ["Overrides", "Recipes", "by_stage"]

Recipes: TypeAlias = Mapping[str, str]
"""Names of recipes, by stage; a stage's own by default."""

Overrides: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Changes to recipes: by stage, then by rule name."""


def by_stage(
    engine: Engine, recipes: Recipes | None, overrides: Overrides | None
) -> tuple[dict[str, str], dict[str, Mapping[str, Mapping[str, Any]]]]:
    """Both with the names of stages as keys, looked up now and not with the first content.

    Stages that a door does not have are allowed: the same mapping is handed to many doors.

    Raises:
        ConfigError: no mapping; an unknown stage, recipe, rule or action.
    """
    named = _stages("recipes", recipes, "names of recipes")
    changed = _stages("overrides", overrides, "overrides")
    for stage in {**named, **changed}:
        engine.fingerprint(stage=stage, recipe=named.get(stage), overrides=changed.get(stage))
    return named, changed


def _stages(name: str, given: Any, values: str) -> dict[str, Any]:
    known = [stage.value for stage in Stage]
    if given is not None and not isinstance(given, Mapping):
        kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise ConfigError(f"{name}: expected a mapping of stages ({', '.join(sorted(known))}) to {values}, got {kind}")
    for stage in given or {}:
        if str(stage) not in known:
            raise unknown_name("stage", str(stage), known, name)
    return {str(stage): value for stage, value in (given or {}).items()}
