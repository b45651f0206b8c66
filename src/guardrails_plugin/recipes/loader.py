"""Recipe and pack files to recipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.recipes.recipe import Recipe, Rule, explain
from guardrails_plugin.types import Stage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "builtin_packs",
    "builtin_recipes",
    "compliance_policies",
    "load_recipes",
    "load_rule",
    "pack_recipe",
    "parse_recipe",
]


@cache
def builtin_recipes() -> tuple[Recipe, ...]:
    """The recipes that ship with the package, one per stage."""
    folder = files("guardrails_plugin.recipes")
    return tuple(parse_recipe((folder / f"{stage}.toml").read_text("utf-8"), f"{stage}.toml") for stage in Stage)


@cache
def builtin_packs() -> dict[str, Pack]:
    """The template packs that ship with the package, by name."""
    return _packs("packs")


@cache
def compliance_policies() -> dict[str, Pack]:
    """The compliance policies that ship with the package, by name."""
    return _packs("policies")


@cache
def pack_recipe(name: str, stage: Stage) -> Recipe | None:
    """A shipped pack's or policy's recipe for a stage; None if there is no such pack."""
    pack = builtin_packs().get(name) or compliance_policies().get(name)
    if pack is None:
        return None
    return next(recipe for recipe in pack.recipes(builtin_recipes()) if recipe.stage is stage)


def _packs(folder: str) -> dict[str, Pack]:
    found = sorted((files("guardrails_plugin.recipes") / folder).iterdir(), key=lambda file: file.name)
    packs = [_pack(_toml(file.read_text("utf-8"), file.name), file.name) for file in found]
    return {pack.name: pack for pack in packs}


def load_recipes(source: str | Path | Recipe | Iterable[Recipe] | None) -> tuple[Recipe, ...]:
    """Recipes from a TOML file with a recipe or a pack, a folder of them, or objects.

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
    return _recipe(_toml(text, where), where)


def load_rule(path: Path, detector: str) -> Rule:
    """The rule for a detector in a TOML file: a recipe, or rules alone.

    Raises:
        ConfigError: the file is missing or malformed, or has not one such rule.
    """
    recipe = _recipe({"name": "rules alone", **_toml(_text(path), path.name)}, path.name)
    found = [rule for rule in recipe.rules if rule.detector == detector]
    if len(found) != 1:
        there = ", ".join(rule.detector for rule in recipe.rules) or "none"
        raise ConfigError(f"{path.name}: expected one rule for {detector!r}, got {len(found)}; its rules: {there}")
    return found[0]


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None


def _recipe(data: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise explain(error, where) from None


def _pack(data: dict[str, Any], where: str) -> Pack:
    try:
        return Pack.model_validate(data)
    except ValidationError as error:
        raise explain(error, where) from None


def _parsed(text: str, where: str) -> Iterable[Recipe]:
    """A file with rules is a recipe; one that changes or adds rules is a pack, for every stage."""
    data = _toml(text, where)
    if "rules" in data or not data.keys() & {"change", "stages", "add"}:
        return (_recipe(data, where),)
    return _pack(data, where).recipes(builtin_recipes())


def _from_path(path: Path) -> Iterable[Recipe]:
    paths = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    for file in paths:
        yield from _parsed(_text(file), file.name)
    if not paths:
        raise ConfigError(f"recipes: no .toml file in {path.name}")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipes: cannot read {file.name}: {type(error).__name__}") from None
