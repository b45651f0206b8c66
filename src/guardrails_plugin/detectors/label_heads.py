"""What further heads of the embedded encoder say of texts, as findings.

One forward pass answers for all heads (`models.encoder`), so a text that `prompt_injection` reads anyway costs nothing
more. Each label has a calibrated probability; a long text counts as its worst window, and the finding covers that
window. Every view of a text is read, and what `guesses` makes of each, so zero-width characters, look-alikes, leet and
stray capitals hide little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.guesses import readings
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, Reading, load_encoder
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["HeadedPatterns", "LabelHeads", "beside", "worded"]

_FLOOR = 0.1
"""Probabilities below this are no candidates."""

_LEAST_LETTERS = 3


class LabelHeads:
    """Labels of an encoder, read for one detector.

    Args:
        detector: whose findings they are.
        labels: label of the encoder -> entity type.
        model: folder of an encoder with these labels; the embedded one by default.
        point: operating point below which a label is no finding; None: every candidate is one.
    """

    def __init__(
        self, detector: str, labels: Mapping[str, str], model: Path | None = None, point: str | None = None
    ) -> None:
        self._detector = detector
        self._labels = labels
        self._model = model or EMBEDDED
        self._point = point

    @property
    def encoder(self) -> Encoder:
        """Loaded once per process, when it is first asked for.

        Raises:
            ConfigError: files are missing or do not fit together.
        """
        return load_encoder(self._model)

    def findings(self, texts: Sequence[Text]) -> list[tuple[Finding, ...]]:
        """The best finding of each label in every text, sorted."""
        jobs = [(index, view) for index, text in enumerate(texts) for view in readings(text) if worded(view.text)]
        documents = [Document(view.text, texts[index].origin) for index, view in jobs]
        best: list[dict[str, Finding]] = [{} for _ in texts]
        least = {label: self._least(label) for label in self._labels}
        answers = self.encoder.read_labels(documents, tuple(self._labels))
        for (index, view), by_label in zip(jobs, answers, strict=True):
            for label, reading in by_label.items():
                found = best[index].get(label)
                if reading.probability >= least[label] and (found is None or found.score < reading.probability):
                    best[index][label] = self._finding(label, reading, texts[index], view)
        return [by_place(found.values()) for found in best]

    def _least(self, label: str) -> float:
        return _FLOOR if self._point is None else self.encoder.label_threshold(self._point, label)

    def _finding(self, label: str, reading: Reading, text: Text, view: View) -> Finding:
        span = view.span(reading.start, reading.end)
        kind, evidence = self._labels[label], {"view": view.kind, "analyzer": "classifier"}
        return Finding(self._detector, kind, reading.probability, span.start, span.end, text.segment, evidence)


@dataclass(frozen=True, config=SETTINGS)
class HeadedPatterns(PatternBase):
    """Base of detectors whose forms of speech propose, and heads of the encoder beside them.

    Attributes:
        classifier: False goes by forms of speech alone: cheap, and misses whoever says it otherwise.
        point: operating point from which the classifier's word counts. ``strict`` finds most, and 5 % of benign texts
            too; ``balanced`` 1 % of them, ``permissive`` 0.1 % (`models/injection/MODEL_CARD.md`).
        model: folder of an encoder with these labels; the embedded one by default.
    """

    classifier: bool = True
    point: Literal["strict", "balanced", "permissive"] = "balanced"
    model: Path | None = None

    labels: ClassVar[Mapping[str, str]]
    """Label of the encoder -> entity type."""

    @property
    def judges(self) -> bool:  # type: ignore[override]
        """Whether heads are asked, so that texts without any form are looked at too."""
        return self.classifier

    @cached_property
    def _heads(self) -> LabelHeads:
        return LabelHeads(self.name, self.labels, self.model, self.point)

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """The findings with those of the heads."""
        del context
        if not self.classifier:
            return found
        return [beside(own, read) for own, read in zip(found, self._heads.findings(texts), strict=True)]


def beside(found: Sequence[Finding], read: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of patterns, and those of heads whose type no pattern found as surely.

    A pattern's place is closer than a window, so of two that are as sure it is the one to keep.
    """
    surest = {kind: max(f.score for f in found if f.entity_type == kind) for kind in {f.entity_type for f in found}}
    return by_place([*found, *(f for f in read if f.score > surest.get(f.entity_type, 0.0))])


def worded(text: str) -> bool:
    """Whether there are words to be read."""
    return sum(char.isalpha() for char in text[:1000]) >= _LEAST_LETTERS
