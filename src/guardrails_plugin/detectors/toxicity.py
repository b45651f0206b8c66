"""Abuse: toxicity, severe toxicity, obscenity, sexual content, insults, threats, attacks on who people are.

How: heads of the encoder that also judges prompt injection (`label_heads`), so that a text both are asked about is read
once.

Quality, by label and on texts not trained on: ``models/injection/MODEL_CARD.md``.
Source: the model card, for what it was trained on and how thresholds were calibrated; the classes are those of Jigsaw's
challenges on toxic comments (2018, 2019).
Limits: plain talk of groups
("Muslims celebrate ...") and hard words about things ("a stupid plot") is flagged now and then; trained on English
tweets, Korean comments and hand-written texts with calm twins in some 40 languages, most of them English. Quotation and
banter are told from abuse only partly, insults without a rude word and veiled threats are often missed, and English
dialects that public data over-represents are flagged more often than they should be: report before you block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.label_heads import LabelHeads
from guardrails_plugin.models.encoder import Document
from guardrails_plugin.types import Context, Finding, Origin, Text

__all__ = ["Toxicity"]

_LABELS = ("toxicity", "severe_toxicity", "obscene", "sexually_explicit", "insult", "threat", "identity_attack")


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
    def _heads(self) -> LabelHeads:
        return LabelHeads(self.name, {label: label.upper() for label in _LABELS}, self.model)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return self._heads.findings(texts)

    def score(self, texts: Sequence[Text]) -> Sequence[float]:
        """The probability of plain toxicity; see `protocols.Scorer`."""
        documents = [Document(text.canonical, text.origin) for text in texts]
        return [
            reading["toxicity"].probability for reading in self._heads.encoder.read_labels(documents, ("toxicity",))
        ]

    def operating_point(self, name: str, origin: Origin) -> float:
        """The threshold of plain toxicity; see `protocols.Scorer`."""
        del origin
        return self._heads.encoder.label_threshold(name, "toxicity")
