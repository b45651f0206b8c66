"""Finds requests that a model speak as somebody or something else: "act as", "pretend to be", "you are now".

How: forms of request (``data/role_play.toml``), English and a dozen other languages; what may follow harmlessly ("act
as a proxy") is taken out. A head of the encoder that also judges prompt injection is asked beside them (`label_heads`).
Role play is mostly innocent: report it, or use it to look closer; jailbreaks by persona are `prompt_injection`'s
business, which weighs what is asked in the role.

The forms alone, checked on texts written for this project (``tests/quality/test_role_play_and_refusal.py``): 24 of 24
requests found, 1 of 24 near misses taken for one. They were written after the rules, which were then mended once by
them (before: 23 and 6). On 69 texts written without sight of
the rules .50 were found; personas that are only named ("you're Max, and I'm ...") and roles at home and at work were
added since. On a second blind set of 80 they find .42 of 40, with the head .57, without a false alarm either way.
Source: the forms were written for this project; the head's model card.
Limits: a persona that is only described ("Max, a pirate of few words, answers:") is mostly not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.label_heads import HeadedPatterns
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["RolePlay"]

_AHEAD = 48


@dataclass(frozen=True, config=SETTINGS)
class RolePlay(HeadedPatterns):
    """See the module and `HeadedPatterns`."""

    point: Literal["strict", "balanced", "permissive"] = "strict"

    name: ClassVar[str] = "role_play"
    entity_types = frozenset({"ROLE_PLAY"})
    labels = MappingProxyType({"role_play": "ROLE_PLAY"})
    categories = MappingProxyType({})

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The forms of request."""
        return load_table("role_play")

    def confirm(self, match: Match) -> Finding | None:
        """The finding; None when what follows makes it a figure of speech."""
        harmless = match.pattern.extra.get("harmless")
        after = match.view.text[match.end : match.end + _AHEAD]
        if harmless and re.search(harmless, after, re.IGNORECASE):
            return None
        evidence = {"category": str(match.pattern.extra["category"])}
        return match.finding(self.name, score=match.pattern.score, evidence=evidence)
