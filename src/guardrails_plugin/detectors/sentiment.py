"""Says whether an English text sounds positive, negative or neutral. Meant for records and reports, not for blocking.

How: VADER (Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
2014; extra ``sentiment``) rates each passage by a lexicon with rules for negation, emphasis and contrast; the text's
``compound`` is the mean of its passages by length, -1 (worst) to 1. The paper's cuts at +-0.05 make the label. The
score of a polar label is (1 + |compound|) / 2, that of ``NEUTRAL`` is 1 - |compound|: they rise with the strength of
the words, they are not calibrated. A feeling that the words name (anger, disgust, fear, joy, sadness, surprise) and
that goes with the label stands in the evidence, as ``feeling`` (`feelings`).

English only: texts of fewer than two words, in another script, or with more function words of another language than of
English are not judged, and have no finding.

Measured on 60 sentences written for this project (a third each): 57 right; the
mistakes are plain requests and statements with a word that the lexicon likes ("please", "number").
Source: Hutto and Gilbert (2014), cuts too; Ekman (1992) for the feelings.
Limits: no irony, no understanding of who feels what; domain words ("kill the process", "cancer screening") count as
they do in everyday speech.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.feelings import FEELINGS, feeling
from guardrails_plugin.detectors.prose import passages, prose
from guardrails_plugin.detectors.scripts import scripts
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Sentiment"]

_PASSAGE = 160
"""Characters rated together: VADER is made for sentences, and takes quadratic time on more."""

_CUT = 0.05
"""From here a compound is positive or negative (Hutto and Gilbert, 2014)."""

_LABELS = frozenset({"NEGATIVE", "NEUTRAL", "POSITIVE"})
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_ENGLISH = frozenset(
    "the a an and or but of to in on at for with from by as is are was were be been it this that these those i you he "
    "she we they my your his her our their me him us them not no do does did have has had will would can could should "
    "there here what when where who how why if so very too all just about more than really it's i'm don't".split()
)
_FOREIGN = frozenset(
    "der die das und ist nicht ein eine ich sie wir mit auf den dem zu es von für sehr war aber auch wie "
    "le la les un une des et est pas je il elle nous vous dans pour avec sur ce cette qui que du au très mais "
    "el los las una y es no lo por con para muy pero su mi este esta como del se "
    "il lo gli della che di non per sono molto ma questo questa mi "
    "o os um uma não com muito mas meu minha isso você eu em ao "
    "de het een en niet ik zijn voor maar van dat met zeer "
    "och att det som jag inte är på av en ett men mycket nie jest się to na że ale bardzo "
    "bu bir ve çok ama için değil ne da yang dan ini itu tidak saya untuk dengan".split()
) - _ENGLISH.union({"me", "no", "on"})


@dataclass(frozen=True, config=SETTINGS)
class Sentiment:
    """Polarity of English texts.

    Attributes:
        labels: the labels to report.
        strength: least |compound| of a positive or negative finding.
    """

    labels: frozenset[str] = _LABELS
    strength: Annotated[float, Field(ge=0, le=1)] = _CUT

    name: ClassVar[str] = "sentiment"
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __post_init__(self) -> None:
        for label in self.labels:
            if label not in _LABELS:
                raise unknown_name("label", label, _LABELS, "sentiment.labels")
        if not self.labels:
            raise ConfigError(f"sentiment.labels: empty; valid: {', '.join(sorted(_LABELS))}")
        _analyzer()  # a missing extra shows now, not at the first text

    @property
    def entity_types(self) -> frozenset[str]:
        """The labels asked for."""
        return self.labels

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        view = text.views[0]
        if not _english(prose(view.text)):
            return ()
        compound = _compound(view.text)
        label = "NEUTRAL" if abs(compound) < _CUT else "POSITIVE" if compound > 0 else "NEGATIVE"
        if label not in self.labels or (label != "NEUTRAL" and abs(compound) < self.strength):
            return ()
        score = 1 - abs(compound) if label == "NEUTRAL" else (1 + abs(compound)) / 2
        lead = len(view.text) - len(view.text.lstrip())
        span = view.span(lead, len(view.text.rstrip()))
        evidence: dict[str, str | float] = {"compound": compound, "lexicon": "vader", "language": "en"}
        if felt := feeling(view.text, FEELINGS[label]):
            evidence["feeling"] = felt
        return (Finding(self.name, label, round(score, 4), span.start, span.end, text.segment, evidence),)


def _compound(text: str) -> float:
    """Mean of the passages' compounds, by length; passages without any word of feeling count for nothing."""
    total = weight = 0.0
    for start, end in passages(text, _PASSAGE):
        rated = _analyzer().polarity_scores(text[start:end])["compound"]
        if rated:
            total += rated * (end - start)
            weight += end - start
    return round(total / weight, 4) if weight else 0.0


def _english(text: str) -> bool:
    """True when nothing speaks for another language."""
    counts = scripts(text)
    if counts["latin"] * 3 < sum(counts.values()) * 2:
        return False
    words = [found.group().lower() for found in _WORD.finditer(text)]
    own = sum(word in _ENGLISH for word in words)
    other = sum(word in _FOREIGN for word in words)
    if len(words) < 2 or other > own:
        return False
    rated = _analyzer().lexicon
    return own > 0 or any(word in rated for word in words)


@cache
def _analyzer() -> Any:
    # Deferred: an extra that reads a lexicon of half a megabyte.
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise ConfigError('sentiment needs the extra "sentiment": pip install "guardrails-plugin[sentiment]"') from None
    return SentimentIntensityAnalyzer()
