"""Prompt injection and jailbreaks: rules over normalised views, then a trained classifier.

Finds attempts to make an application's model break its instructions: overrides, jailbreaks, system-prompt extraction,
and instructions to the reading model inside documents and tool results. Every view of a text is judged (decoded
base64, hex, escapes, spaced letters, hidden tags, and guesses at leet, ciphers, words taken apart and the like), long
texts window by window, and the strings of one structured content together, because an attack may be spread over them.

Rules (``data/prompt_injection.toml``) know forms that have no innocent use, such as forged chat-template tokens; what
merely sounds suspicious only raises the classifier's probability. Classifier: ``models/injection``, see its model card
for data, quality by language and category, and known weaknesses.

Source: OWASP LLM01:2025; the classifier's model card; rules and classifier as independent witnesses (noisy or).
Limits: an attack that reads like an ordinary request (a wish placed in a document, a story that leads there step by
step) is missed at times, and texts that talk about attacks are taken for them at times; what is said over several
turns or calls is only judged where the caller hands it in together; pictures and sound are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place, confirmed
from guardrails_plugin.detectors.injection_jobs import Placed, closer, guessed, jobs, placed
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.errors import unknown_name
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.models.classifier import Classifier
from guardrails_plugin.models.settings import ModelSettings, load_classifier
from guardrails_plugin.types import NO_CONTEXT, Context, Finding, Origin, Text

__all__ = ["PromptInjection"]

_EMBEDDED = Path(__file__).parent.parent / "models" / "injection"
_TYPE = "PROMPT_INJECTION"
_PLAIN = "canonical"
_RULES_ALONE: Mapping[str, float] = MappingProxyType({"strict": 0.4, "balanced": 0.45, "permissive": 0.5})
"""Where rules count that no classifier is asked beside. Of 899 attacks of five sets by other hands .05, .04 and .006
reach them, of 1,192 innocent texts .006, .004 and none."""


@dataclass(config=SETTINGS)
class PromptInjection(PatternBase):
    """See the module.

    Attributes:
        model: another classifier than the embedded one, see `models.settings`.
        classifier: False judges by rules alone (cheap, and blind to most attacks).
        allow: texts that are never judged, compared exactly (known prompts of your own).
    """

    name: ClassVar[str] = "prompt_injection"
    model: ModelSettings | None = None
    classifier: bool = True
    allow: frozenset[str] = field(default=frozenset(), repr=False)

    entity_types = frozenset({_TYPE})
    categories = MappingProxyType({})

    @property
    def judges(self) -> bool:  # type: ignore[override]
        """True with a classifier, which has an opinion on every text."""
        return self.classifier

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The rules."""
        return load_table("prompt_injection")

    @cached_property
    def _classifier(self) -> Classifier:
        return load_classifier(self.model or _EMBEDDED)

    def confirm(self, match: Match) -> Finding | None:
        """A rule's finding, with the rule's own score."""
        evidence = {"analyzer": "rules", "category": str(match.pattern.extra.get("category", "override"))}
        return match.finding(self.name, score=match.pattern.score, evidence=evidence)

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """The classifier's opinion on every text, beside what the rules found."""
        del context
        rules = [() if text.original in self.allow else own for text, own in zip(texts, found, strict=True)]
        readings = self._read(texts, rules) if self.classifier else {}
        pairs = enumerate(zip(texts, rules, strict=True))
        return [self._combined(text, own, readings.get(index)) for index, (text, own) in pairs]

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        """See `protocols.Scorer`. Every text counts as a content of its own."""
        alone = (self.detect([text], NO_CONTEXT)[0] for text in texts)
        return [max((finding.score for finding in found), default=0.0) for found in alone]

    def operating_point(self, name: str, origin: Origin) -> float:
        """See `protocols.Scorer`; without a classifier, of the rules."""
        if self.classifier:
            return self._classifier.threshold(name, origin)
        try:
            return _RULES_ALONE[name]
        except KeyError:
            raise unknown_name("operating point", name, _RULES_ALONE, "prompt_injection") from None

    def _read(self, texts: Sequence[Text], found: list[Sequence[Finding]]) -> dict[int, Placed]:
        """The worst reading of every text that is not allowed, by index; adds what rules find in guessed views."""
        members = [index for index, text in enumerate(texts) if text.original not in self.allow]
        further = guessed(texts, members)
        for index, views in further.items():
            matches = self._matcher.match(replace(texts[index], views=views)).get(self.name, ())
            known = {(rule.start, rule.end) for rule in found[index]}
            further_rules = [rule for rule in confirmed(self, matches) if (rule.start, rule.end) not in known]
            found[index] = by_place([*found[index], *further_rules])
        wanted = list(jobs(texts, members, further))
        readings = self._classifier.read([job.document for job in wanted])
        again = list(closer(wanted, readings))
        return placed([*wanted, *again], [*readings, *self._classifier.read([job.document for job in again])])

    def _combined(self, text: Text, rules: Sequence[Finding], reading: Placed | None) -> Sequence[Finding]:
        """Rules and classifier as independent witnesses: p = 1 - (1 - p_model)(1 - p_rule)."""
        if reading is None:
            return by_place(rules)
        doubt = 1.0 - max((rule.score for rule in rules), default=0.0)
        probability = 1.0 - (1.0 - reading.probability) * doubt
        evidence: dict[str, str | float] = {
            "analyzer": f"{self._classifier.id}:{self._classifier.version}",
            "category": _category(text.origin, rules, reading),
            "origin": text.origin.value,
            "model_probability": round(reading.probability, 4),
        }
        if reading.view != _PLAIN:
            evidence["view"] = reading.view
        whole = Finding(self.name, _TYPE, probability, reading.start, reading.end, text.segment, evidence)
        return by_place([*rules, whole])


def _category(origin: Origin, rules: Sequence[Finding], reading: Placed) -> str:
    """What the strongest rule says of this place, or what the classifier says the attack is after, or how it came."""
    here = [rule for rule in rules if rule.start < reading.end and reading.start < rule.end]
    if here:
        return str(max(here, key=_score).evidence["category"])
    if reading.kind:
        return reading.kind
    if reading.view != _PLAIN:
        return "encoded"
    return "direct" if origin is Origin.USER else "indirect"


def _score(finding: Finding) -> float:
    return finding.score
