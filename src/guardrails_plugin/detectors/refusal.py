"""Finds answers in which a model declines ("I can't help with that"), so that they can be counted, retried or replaced.

How: forms of declining (``data/refusal.toml``), English and thirteen other languages. A form in the first ``_OPENING``
characters, where refusals stand, scores higher than one further in, where a text may quote one or limit its help. What
makes it everyday service talk ("we cannot provide refunds", "sorry, I can't find your order") is taken out. A head of
the encoder that also judges prompt injection is asked beside the forms (`label_heads`).

The forms alone, checked on texts written for this project (``tests/quality/test_role_play_and_refusal.py``): 28 of 28
refusals found, 0 of 28 near misses. They were written after the rules, which were then mended once by them (before: 24
and 2). On 69 texts written without sight of the rules .40 were
found; wider forms, deflections and quotations were added since. On a second blind set of 80 they find .30 of 40 with
.05 false alarms, with the head .68 with .08.
Source: the forms were written for this project; the head's model card.
Limits: refusals by changing the subject are found in common forms only, lectures are not; partial help after a refusal
is one, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.label_heads import HeadedPatterns
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["Refusal"]

_OPENING = 160
"""Characters of an answer in which it declines, if it does."""

_AHEAD, _BEFORE = 64, 240
"""Characters behind and before a form that are read."""

_QUOTED = 0.4
"""What is left of the score of a form in a quotation."""


@dataclass(frozen=True, config=SETTINGS)
class Refusal(HeadedPatterns):
    """See the module and `HeadedPatterns`."""

    name: ClassVar[str] = "refusal"
    entity_types = frozenset({"REFUSAL"})
    labels = MappingProxyType({"refusal": "REFUSAL"})
    categories = MappingProxyType({})

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The forms of declining."""
        return load_table("refusal")

    def confirm(self, match: Match) -> Finding | None:
        """The finding; None when what follows makes it everyday talk."""
        extra = match.pattern.extra
        after = match.view.text[match.end : match.end + _AHEAD]
        if "harmless" in extra and re.search(extra["harmless"], after, re.IGNORECASE):
            return None
        opening = match.start <= _OPENING
        score = float(extra["opening"]) if opening else match.pattern.score
        quoted = _in_quotation(match.view.text[max(0, match.start - _BEFORE) : match.start])
        place = "quotation" if quoted else "opening" if opening else "within"
        evidence = {"category": str(extra["category"]), "place": place}
        score = score * _QUOTED if quoted else score
        return match.finding(self.name, score=round(score, 4), evidence=evidence)


def _in_quotation(before: str) -> bool:
    """True when a quotation is open that the answer does not begin with: somebody else's words."""
    plain = before.replace("\u201c", '"').replace("\u201d", '"').replace("\u201e", '"')
    return plain.count('"') % 2 == 1 and plain.strip() != '"'
