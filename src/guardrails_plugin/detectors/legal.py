"""Finds legal texts: contracts, law and court texts, terms of service and licences (EULA), non-disclosure agreements.

How: a linear model over words and word pairs (`legal_model`) gives each class a probability; the probabilities of the
chosen classes are summed, and a text whose sum reaches the threshold of its sensitivity is found, whole: low .9, medium
.7, high .5. The finding's type is the likeliest of the chosen classes; its score is the sum. A recipe's own threshold
applies on top.

Software licences count as ``TERMS_OF_SERVICE``: they are terms of use. Privacy policies too.
Source: a linear model of words made by ``training.legal``, which says from what; levels by CalypsoAI's description.
Limits: words and their frequencies are weighed over the whole text, so a clause or two inside a long prompt is not
found; texts under ``least_words`` words are not judged. English only.

Trained by ``training.legal`` on licence texts, case summaries, privacy policies against prose, e-mail, code and tool
output (CC0, ODC-BY, MIT and others), and on contracts and non-disclosure agreements composed from clauses written for
this project. At low / medium / high on rows held back: licences and policies .97 / 1 / 1 of 99, case summaries
.95 / 1 / 1 of 41, false alarms 0 / .004 / .004 of 235; at medium 4 of 465 unseen e-mails, documents, prompts, code and
tool outputs. Of contracts and non-disclosure agreements no real ones were at hand: formal wording ("the Receiving Party
shall") is told apart; in plain wording they are mostly found, but as ``TERMS_OF_SERVICE``; a plain lease was missed.

"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.legal_model import load_model
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Legal"]

_CLASSES = {
    "contracts": "CONTRACT",
    "legal_law": "LEGAL_LAW",
    "terms_of_service": "TERMS_OF_SERVICE",
    "nda": "NON_DISCLOSURE_AGREEMENT",
}
_THRESHOLDS = {"low": 0.9, "medium": 0.7, "high": 0.5}
_SHORT = 25
"""Words under which only the surest count, at any sensitivity: 1 of 399 ordinary texts of 18 to 24 words was found."""

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, config=SETTINGS)
class Legal:
    """Texts of the chosen legal classes.

    Attributes:
        classes: which of ``contracts``, ``legal_law``, ``terms_of_service``, ``nda`` to look for.
        sensitivity: ``low`` finds the surest only, ``high`` the most.
        least_words: shorter texts are not judged; those under 25 words count at ``low`` only.
    """

    classes: tuple[str, ...] = tuple(_CLASSES)
    sensitivity: Literal["low", "medium", "high"] = "medium"
    least_words: Annotated[int, Field(ge=1)] = 18

    name: ClassVar[str] = "legal"

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError(f"legal.classes: empty; valid: {', '.join(_CLASSES)}")
        for name in self.classes:
            if name not in _CLASSES:
                raise unknown_name("class", name, _CLASSES, "legal.classes")

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """The types of the chosen classes."""
        return frozenset(_CLASSES[name] for name in self.classes)

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """Each chosen class under its own name."""
        return {name: frozenset({_CLASSES[name]}) for name in self.classes}

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        view = text.views[0]
        words = list(_WORD.finditer(view.text))
        if len(words) < self.least_words:
            return ()
        chances = load_model().probabilities(view.text)
        chosen = {name: chances[name] for name in self.classes}
        total = min(1.0, sum(chosen.values()))
        if total < (_THRESHOLDS["low"] if len(words) < _SHORT else _THRESHOLDS[self.sensitivity]):
            return ()
        likeliest = max(chosen, key=lambda name: (chosen[name], name))
        span = view.span(words[0].start(), words[-1].end())
        evidence: dict[str, str | float] = {name: round(chance, 4) for name, chance in sorted(chosen.items())}
        evidence["sensitivity"] = self.sensitivity
        kind = _CLASSES[likeliest]
        return (Finding(self.name, kind, round(total, 4), span.start, span.end, text.segment, evidence),)
