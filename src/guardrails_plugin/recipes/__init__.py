"""Recipes: what is looked for at a stage, and what is done about it."""

from guardrails_plugin.recipes.loader import (
    builtin_packs,
    builtin_recipes,
    compliance_policies,
    load_recipes,
    pack_recipe,
)
from guardrails_plugin.recipes.recipe import OPERATING_POINTS, Recipe, Rule, StreamSettings

__all__ = [
    "OPERATING_POINTS",
    "Recipe",
    "Rule",
    "StreamSettings",
    "builtin_packs",
    "builtin_recipes",
    "compliance_policies",
    "load_recipes",
    "pack_recipe",
]
