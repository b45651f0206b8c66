"""Tool descriptions and schemas that steer the model instead of telling what the tool does (tool poisoning).

A model reads every description of every tool it is given, whether it calls the tool or not. Rules
(``data/tool_definitions.toml``) know sentences that a description has no honest reason for: keep this from the user,
call me before any other tool, read that file and pass it on the side, when the other tool is called do this. They are
for definitions only, in other texts such sentences may be normal; `prompt_injection` and `invisible_text` see the rest.
``guardrails_plugin.tool_catalog`` puts the parts together.
Source: Invariant Labs, "Tool Poisoning Attacks" (2025); the rules were written for this project.
Limits: English rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["ToolDefinitions"]


@dataclass(frozen=True, config=SETTINGS)
class ToolDefinitions(PatternBase):
    """See the module. It has no settings."""

    name: ClassVar[str] = "tool_definitions"
    entity_types = frozenset({"TOOL_POISONING"})
    categories = MappingProxyType({})

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The rules."""
        return load_table("tool_definitions")

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        return match.finding(self.name, score=match.pattern.score)
