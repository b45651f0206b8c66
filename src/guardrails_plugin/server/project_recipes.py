"""Recipes that projects make for themselves: the same model as the operator's, minus what reaches out of the text.

A setting that names a file, a model or a server is the operator's to choose: a tenant could otherwise have files of
this machine read, or requests sent from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

from guardrails_plugin import registry
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes import Recipe
from guardrails_plugin.recipes.recipe import explain
from guardrails_plugin.types import Stage

__all__ = ["project_recipe"]

_PLAIN = (str, int, float, bool, Enum, type(None))
_MODELS = "guardrails_plugin.models"


def project_recipe(data: Mapping[str, Any], engine_with: Callable[[Recipe], Engine]) -> Recipe:
    """The recipe, if a project may have it and it works.

    Args:
        data: its JSON.
        engine_with: an engine that knows a recipe; the recipe is planned once to see that it works.

    Raises:
        ConfigError: it is malformed, names what does not exist, or reaches out of the text.
    """
    try:
        recipe = Recipe.model_validate(dict(data))
    except ValidationError as error:
        raise explain(error, "recipe", ".") from None
    for index, rule in enumerate(recipe.rules):
        where = f"recipe {recipe.name!r}: rules[{index}]"
        if rule.detector in registry.names("detectors"):
            _confined(registry.load("detectors", rule.detector), rule.settings, where)
    engine = engine_with(recipe)
    for stage in [recipe.stage] if recipe.stage else Stage:
        engine.fingerprint(stage=stage, recipe=recipe.name)
    return recipe


def _confined(detector: type, settings: Mapping[str, Any], where: str) -> None:
    hints = get_type_hints(detector)
    own = {field.alias: name for name, field in getattr(detector, "__pydantic_fields__", {}).items() if field.alias}
    for name in settings:
        hint = hints.get(own.get(name, name))
        if hint is not None and not all(_plain(leaf) for leaf in _leaves(hint, set())):
            raise ConfigError(f"{where}.settings.{name}: only the operator may set this")


def _plain(leaf: object) -> bool:
    if not isinstance(leaf, type):
        return True  # Any, a literal's value
    return issubclass(leaf, _PLAIN) and not issubclass(leaf, PurePath)


def _leaves(hint: object, seen: set[object]) -> Iterator[object]:
    """The types a setting is finally made of."""
    if get_args(hint):
        for inner in get_args(hint):
            yield from _leaves(inner, seen)
    elif isinstance(hint, type) and not hint.__module__.startswith(_MODELS) and _has_fields(hint):
        if hint not in seen:
            seen.add(hint)
            for inner in get_type_hints(hint).values():
                yield from _leaves(inner, seen)
    else:
        yield hint


def _has_fields(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)
