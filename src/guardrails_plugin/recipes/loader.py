"""Recipe files to recipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes.recipe import Recipe, explain
from guardrails_plugin.types import Stage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["builtin_recipes", "load_recipes", "parse_recipe"]


@cache
def builtin_recipes() -> tuple[Recipe, ...]:
    """The recipes that ship with the package, one per stage."""
    folder = files("guardrails_plugin.recipes")
    return tuple(parse_recipe((folder / f"{stage}.toml").read_text("utf-8"), f"{stage}.toml") for stage in Stage)


def load_recipes(source: str | Path | Recipe | Iterable[Recipe] | None) -> tuple[Recipe, ...]:
    """Recipes from a TOML file, a folder of them, or objects.

    Raises:
        ConfigError: the file is missing or malformed, or two recipes share name and stage.
    """
    if source is None:
        return ()
    if isinstance(source, Recipe):
        return (source,)
    recipes = tuple(_from_path(Path(source))) if isinstance(source, (str, Path)) else tuple(source)
    for recipe in recipes:
        if not isinstance(recipe, Recipe):
            raise ConfigError(f"recipes: expected Recipe objects or a path, got {type(recipe).__name__}")
    keys = [(recipe.name, recipe.stage) for recipe in recipes]
    if len(set(keys)) < len(keys):
        raise ConfigError("recipes: two recipes have the same name and stage")
    return recipes


def parse_recipe(text: str, where: str) -> Recipe:
    """One recipe from TOML.

    Raises:
        ConfigError: with file, place, what was expected and what was given.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise explain(error, where) from None


def _from_path(path: Path) -> Iterable[Recipe]:
    paths = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    for file in paths:
        try:
            yield parse_recipe(file.read_text("utf-8"), file.name)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"recipes: cannot read {file.name}: {type(error).__name__}") from None
    if not paths:
        raise ConfigError(f"recipes: no .toml file in {path.name}")
