"""Prompt injection and jailbreaks: rules over normalised views, then a trained classifier.

Finds attempts to make an application's model break its instructions: overrides, jailbreaks, system-prompt extraction,
and instructions to the reading model inside documents and tool results. Every view of a text is judged (decoded
base64, hex, escapes, spaced letters, hidden tags), long texts window by window, and the strings of one structured
content together, because an attack may be spread over its fields.

Rules (``data/prompt_injection.toml``) know forms that have no innocent use, such as forged chat-template tokens; what
merely sounds suspicious only raises the classifier's probability. Classifier: ``models/injection``, see its model card
for data, quality by language and category, and known weaknesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.models.encoder import Document, Encoder, Reading, load_encoder
from guardrails_plugin.types import NO_CONTEXT, Context, Finding, Origin, Text, View

__all__ = ["PromptInjection"]

_EMBEDDED = Path(__file__).parent.parent / "models" / "injection"
_TYPE = "PROMPT_INJECTION"
_CONCLUSIVE = 0.95
"""A rule this sure needs no second opinion."""


@dataclass(config=SETTINGS)
class PromptInjection(PatternBase):
    """See the module.

    Attributes:
        model: folder of a classifier (``models.encoder``); the embedded one by default.
        classifier: False judges by rules alone (cheap, and blind to most attacks).
        allow: texts that are never judged, compared exactly (known prompts of your own).
    """

    name: ClassVar[str] = "prompt_injection"
    model: Path | None = None
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
    def _encoder(self) -> Encoder:
        return load_encoder(self.model or _EMBEDDED)

    def confirm(self, match: Match) -> Finding | None:
        """A rule's finding, with the rule's own score."""
        evidence = {"analyzer": "rules", "category": str(match.pattern.extra.get("category", "override"))}
        return match.finding(self.name, score=match.pattern.score, evidence=evidence)

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """The classifier's opinion on every text, beside what the rules found."""
        del context
        readings = self._readings(texts, found) if self.classifier else {}
        pairs = enumerate(zip(texts, found, strict=True))
        return [self._combined(text, own, readings.get(index)) for index, (text, own) in pairs]

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        """See `protocols.Scorer`. Every text counts as a content of its own."""
        alone = (self.detect([text], NO_CONTEXT)[0] for text in texts)
        return [max((finding.score for finding in found), default=0.0) for found in alone]

    def operating_point(self, name: str, origin: Origin) -> float:
        """See `protocols.Scorer`; without a classifier only conclusive rules count."""
        return self._encoder.threshold(name, origin) if self.classifier else _CONCLUSIVE

    def _readings(self, texts: Sequence[Text], found: Sequence[Sequence[Finding]]) -> dict[int, _Placed]:
        """The worst reading for the texts that need one, by index."""
        jobs: list[_Job] = []
        for group in _contents(texts):
            jobs += _jobs(texts, [i for i in group if not _settled(found[i]) and texts[i].original not in self.allow])
        readings = self._encoder.read([Document(job.text, job.origin) for job in jobs])
        placed: dict[int, _Placed] = {}
        for job, reading in zip(jobs, readings, strict=True):
            for index, own in _place(job, reading):
                if index not in placed or placed[index].probability < own.probability:
                    placed[index] = own
        return placed

    def _combined(self, text: Text, rules: Sequence[Finding], reading: _Placed | None) -> Sequence[Finding]:
        """Rules and classifier as independent witnesses: p = 1 - (1 - p_model)(1 - p_rule)."""
        if reading is None:
            return by_place(rules)
        doubt = 1.0 - max((rule.score for rule in rules), default=0.0)
        probability = 1.0 - (1.0 - reading.probability) * doubt
        config = self._encoder.config
        evidence: dict[str, str | float] = {
            "analyzer": f"{config.id}:{config.version}",
            "category": str(rules[0].evidence["category"]) if rules else _category(text.origin),
            "model_probability": round(reading.probability, 4),
        }
        whole = Finding(self.name, _TYPE, probability, reading.start, reading.end, text.segment, evidence)
        return by_place([*rules, whole])


@plain_dataclass(frozen=True, slots=True)
class _Placed:
    probability: float
    start: int
    end: int


@plain_dataclass(frozen=True, slots=True)
class _Job:
    """One reading: a view, or the canonical views of several segments joined by line breaks."""

    members: Sequence[int]
    views: Sequence[View]
    origin: Origin

    @property
    def text(self) -> str:
        return "\n".join(view.text for view in self.views)


def _category(origin: Origin) -> str:
    return "direct" if origin is Origin.USER else "indirect"


def _settled(findings: Sequence[Finding]) -> bool:
    return any(finding.score >= _CONCLUSIVE for finding in findings)


def _contents(texts: Sequence[Text]) -> Iterator[list[int]]:
    """Indices of the texts of one content: segment numbers rise within it."""
    group: list[int] = []
    for index, text in enumerate(texts):
        if group and text.segment <= texts[group[-1]].segment:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _jobs(texts: Sequence[Text], members: Sequence[int]) -> list[_Job]:
    """What the classifier reads: the canonical texts of one content, by origin, and each decoded view alone."""
    jobs: list[_Job] = []
    for origin in Origin:
        own = [i for i in members if texts[i].origin is origin and _worded(texts[i].canonical)]
        if own:
            jobs.append(_Job(own, [texts[i].views[0] for i in own], origin))
        jobs += [_Job([i], [view], origin) for i in own for view in texts[i].views[1:] if _worded(view.text)]
    return jobs


def _worded(text: str) -> bool:
    """False for texts that say nothing: fewer than four letters in all."""
    letters = 0
    for char in text:
        letters += char.isalpha()
        if letters >= 4:
            return True
    return False


def _place(job: _Job, reading: Reading) -> Iterator[tuple[int, _Placed]]:
    """The reading's window in every text that it covers a part of."""
    at = 0
    for index, view in zip(job.members, job.views, strict=True):
        start, end = max(reading.start - at, 0), min(reading.end - at, len(view.text))
        if start < end:
            span = view.span(start, end)
            yield index, _Placed(reading.probability, span.start, span.end)
        at += len(view.text) + 1
