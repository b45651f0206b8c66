"""Embedded weights and their runtime. Nothing here is imported before a recipe with a model runs."""
