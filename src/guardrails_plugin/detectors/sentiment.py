"""Says whether a text sounds positive, negative or neutral. Meant for records and reports, not for blocking.

How: two heads of the encoder that also judges prompt injection (`label_heads`) give the probabilities of a negative and
of a positive text; the likelier one is the label from one half on, otherwise the text is ``NEUTRAL``. A long text
counts as its most negative and its most positive window. With ``lexicon`` VADER rates instead, English only
(`sentiment_lexicon`): its scores rise with the strength of the words and are not calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors import sentiment_lexicon
from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.label_heads import worded
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Sentiment"]

_NEGATIVE, _POSITIVE = "sentiment_negative", "sentiment_positive"
_LABELS = frozenset({"NEGATIVE", "NEUTRAL", "POSITIVE"})


@plain_dataclass(frozen=True, slots=True)
class _Rating:
    """A label, how sure it is, and where between -1 (worst) and 1 the text stands."""

    label: str
    score: float
    compound: float


@dataclass(frozen=True, config=SETTINGS)
class Sentiment:
    """Polarity of texts.

    Attributes:
        labels: the labels to report.
        strength: least distance of a positive or negative text from the middle, of 1.
        lexicon: True goes by VADER (cheap; English only) instead of the encoder's heads.
        model: folder of an encoder with these labels (``models.encoder``); the embedded one by default.
    """

    labels: frozenset[str] = _LABELS
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0
    lexicon: bool = True
    model: Path | None = None

    name: ClassVar[str] = "sentiment"
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __post_init__(self) -> None:
        for label in self.labels:
            if label not in _LABELS:
                raise unknown_name("label", label, _LABELS, "sentiment.labels")
        if not self.labels:
            raise ConfigError(f"sentiment.labels: empty; valid: {', '.join(sorted(_LABELS))}")
        if self.lexicon:
            sentiment_lexicon.analyzer()  # a missing extra shows now, not at the first text

    @property
    def entity_types(self) -> frozenset[str]:
        """The labels asked for."""
        return self.labels

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        ratings = [_by_words(text.views[0].text) for text in texts] if self.lexicon else self._by_heads(texts)
        return [self._findings(text, rating) for text, rating in zip(texts, ratings, strict=True)]

    def _by_heads(self, texts: Sequence[Text]) -> list[_Rating | None]:
        documents = [Document(text.canonical, text.origin) for text in texts]
        readings = load_encoder(self.model or EMBEDDED).read_labels(documents, (_NEGATIVE, _POSITIVE))
        return [
            _likeliest(found[_NEGATIVE].probability, found[_POSITIVE].probability) if worded(text.canonical) else None
            for text, found in zip(texts, readings, strict=True)
        ]

    def _findings(self, text: Text, rating: _Rating | None) -> tuple[Finding, ...]:
        if rating is None or rating.label not in self.labels:
            return ()
        if rating.label != "NEUTRAL" and abs(rating.compound) < self.strength:
            return ()
        view = text.views[0]
        lead = len(view.text) - len(view.text.lstrip())
        span = view.span(lead, len(view.text.rstrip()))
        evidence: dict[str, str | float] = {
            "compound": round(rating.compound, 4),
            "analyzer": "vader" if self.lexicon else "classifier",
        }
        return (Finding(self.name, rating.label, round(rating.score, 4), span.start, span.end, text.segment, evidence),)


def _by_words(text: str) -> _Rating | None:
    compound = sentiment_lexicon.compound(text)
    if compound is None:
        return None
    if abs(compound) < sentiment_lexicon.CUT:
        return _Rating("NEUTRAL", 1 - abs(compound), compound)
    return _Rating("POSITIVE" if compound > 0 else "NEGATIVE", (1 + abs(compound)) / 2, compound)


def _likeliest(negative: float, positive: float) -> _Rating:
    surer = max(negative, positive)
    if surer < 0.5:
        return _Rating("NEUTRAL", 1 - surer, positive - negative)
    return _Rating("POSITIVE" if positive > negative else "NEGATIVE", surer, positive - negative)
