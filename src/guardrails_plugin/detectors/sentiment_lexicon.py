"""Rates English texts by VADER's lexicon (extra ``sentiment``).

Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014. It rates
each passage by a lexicon with rules for negation, emphasis and contrast; the text's compound is the mean of its
passages by length, -1 (worst) to 1. Texts of fewer than two words, in another script, or with more function words of
another language than of English are not rated. No irony, no understanding of who feels what; domain words ("kill the
process", "cancer screening") count as they do in everyday speech.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from guardrails_plugin.detectors.prose import passages, prose
from guardrails_plugin.detectors.scripts import scripts
from guardrails_plugin.errors import ConfigError

__all__ = ["CUT", "analyzer", "compound"]

CUT = 0.05
"""From here a compound is positive or negative (Hutto and Gilbert, 2014)."""

_PASSAGE = 160
"""Characters rated together: VADER is made for sentences, and takes quadratic time on more."""

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


def compound(text: str) -> float | None:
    """The text's compound; None when it is not English enough to be rated.

    Raises:
        ConfigError: the extra is not installed.
    """
    return _compound(text) if _english(prose(text)) else None


def _compound(text: str) -> float:
    """Mean of the passages' compounds, by length; passages without any word of feeling count for nothing."""
    total = weight = 0.0
    for start, end in passages(text, _PASSAGE):
        rated = analyzer().polarity_scores(text[start:end])["compound"]
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
    rated = analyzer().lexicon
    return own > 0 or any(word in rated for word in words)


@cache
def analyzer() -> Any:
    """The library's rater.

    Raises:
        ConfigError: the extra is not installed.
    """
    # Deferred: an extra that reads a lexicon of half a megabyte.
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise ConfigError('sentiment needs the extra "sentiment": pip install "guardrails-plugin[sentiment]"') from None
    return SentimentIntensityAnalyzer()
