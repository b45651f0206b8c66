"""Recipes: which detectors run at a stage and what is done about their findings; ``<stage>.toml`` are built in."""

from guardrails_plugin.recipes.loader import builtin_recipes as builtin_recipes
from guardrails_plugin.recipes.loader import load_recipes as load_recipes
from guardrails_plugin.recipes.recipe import Recipe as Recipe
from guardrails_plugin.recipes.recipe import Rule as Rule
from guardrails_plugin.recipes.recipe import StreamSettings as StreamSettings

__all__ = ["Recipe", "Rule", "StreamSettings", "builtin_recipes", "load_recipes"]
