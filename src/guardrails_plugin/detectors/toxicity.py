"""Abuse: toxicity, severe toxicity, obscenity, sexual content, insults, threats, attacks on who people are.

How: further heads of the encoder that also judges prompt injection, so that a text both are asked about is read once.
Each of the seven labels has a calibrated probability; a long text counts as its worst window, and the finding covers
that window. Every view of a text is read, so spelling with zero-width characters or look-alikes hides nothing.

Quality, by label and on texts not trained on: ``models/injection/MODEL_CARD.md``. Limits: trained on English tweets,
Korean comments and hand-written texts with calm twins in some 40 languages, most of them English. Quotation and banter
are told from abuse only partly, insults without a rude word and veiled threats are often missed, and English dialects
that public data over-represents are flagged more often than they should be: report before you block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, Reading, load_encoder
from guardrails_plugin.types import Context, Finding, Origin, Text, View

__all__ = ["Toxicity"]

_LABELS = ("toxicity", "severe_toxicity", "obscene", "sexually_explicit", "insult", "threat", "identity_attack")
_FLOOR = 0.1
"""Probabilities below this are no candidates."""

_LEAST_LETTERS = 3


@dataclass(frozen=True, config=SETTINGS)
class Toxicity:
    """See the module.

    Attributes:
        model: folder of a classifier with these labels (``models.encoder``); the embedded one by default.
    """

    name: ClassVar[str] = "toxicity"
    model: Path | None = None

    entity_types: ClassVar[frozenset[str]] = frozenset(label.upper() for label in _LABELS)
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType(
        {
            "severe": frozenset({"SEVERE_TOXICITY", "THREAT", "IDENTITY_ATTACK"}),
            "sexual": frozenset({"SEXUALLY_EXPLICIT"}),
        }
    )

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self.model or EMBEDDED)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        jobs = [(index, view) for index, text in enumerate(texts) for view in text.views if _worded(view.text)]
        documents = [Document(view.text, texts[index].origin) for index, view in jobs]
        best: list[dict[str, Finding]] = [{} for _ in texts]
        for (index, view), readings in zip(jobs, self._encoder.read_labels(documents, _LABELS), strict=True):
            for label, reading in readings.items():
                found = best[index].get(label)
                if reading.probability >= _FLOOR and (found is None or found.score < reading.probability):
                    best[index][label] = _finding(label, reading, texts[index], view)
        return [by_place(found.values()) for found in best]

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        """The probability of plain toxicity; see `protocols.Scorer`."""
        documents = [Document(text.canonical, text.origin) for text in texts]
        return [reading["toxicity"].probability for reading in self._encoder.read_labels(documents, ("toxicity",))]

    def operating_point(self, name: str, origin: Origin) -> float:
        """The threshold of plain toxicity; see `protocols.Scorer`."""
        del origin
        return self._encoder.label_threshold(name, "toxicity")


def _finding(label: str, reading: Reading, text: Text, view: View) -> Finding:
    span = view.span(reading.start, reading.end)
    evidence = {"view": view.kind}
    return Finding(Toxicity.name, label.upper(), reading.probability, span.start, span.end, text.segment, evidence)


def _worded(text: str) -> bool:
    return sum(char.isalpha() for char in text[:1000]) >= _LEAST_LETTERS
