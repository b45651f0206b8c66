"""Whether a word that describes people and things alike ("Swedish", "57 years old", "blind") is said of a person.

How: what stands round the word in its sentence: a noun for people behind it ("a Swedish nurse"), a person as the
subject of a copula before it ("my aunt is Swedish"), a relative clause with "who", or a verb or possessive by which
somebody has or takes on what the word names ("she converted to Islam", "his religion").

Source: attributive and predicative use of adjectives (Huddleston and Pullum, The Cambridge Grammar of the English
Language, chapter 6); nouns for people in ``data/demographic.toml``.
Limits: English; no parser, so a person mentioned nearby can be taken for the one described. A capitalised word before
a copula counts as a person's name, which "Volvo is Swedish" abuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from guardrails_plugin.matching import CONTEXT_CHARS

__all__ = ["People"]

_SENTENCE_END = re.compile(r"[.!?;:]\s|\n\s*\n")
_COPULA = (
    r"(?:is|are|was|were|am|be|been|being|became|becomes?|['\u2019](?:s|re|m)|as|raised|born|born into|grew up|feels?"
    r"|identif\w+ as)"
)
_NAME = (
    r"\b(?!(?:The|This|That|These|Those|It|There|Here|What|Which|Where|When|Why|How|Our|Its|An?|And|But|Or|As|If|In)\b)"
    r"[A-Z][a-z\u00e0-\u017f]+"
)
_HAS = re.compile(
    r"(?:\b(?:my|your|his|her|their|our|whose|ha(?:s|ve|d)|uses?|used|wears?|practi[cs]\w+|follow(?:s|ed)|left)"
    r"|\bconvert\w* (?:to|from)|\b(?:raised|brought up) in|\bborn into|\bbelieves? in"
    r"|\b(?:live|born|diagnose)[sd]? with|\bliving with|\bsuffer\w* from)\s(?:an?\s)?(?:[\w-]{2,12}\s)?$",
    re.IGNORECASE,
)
_SAID_OF = re.compile(
    r"\s*(?:$|[.,;!?)\"'\u2019]"
    r"|(?:and|or|but|from|in|since|with|because|when|while|too|to|on|at|is|was|are|were|has|had)\b)"
)
_WHO = re.compile(r",?\s(?:who|whose|whom|aged)\b")


class People:
    """Judges by a list of nouns for people."""

    def __init__(self, nouns: Iterable[str]) -> None:
        named = "|".join(sorted(map(re.escape, nouns)))
        self._noun_behind = re.compile(rf"(?:[\s-]+[\w-]{{1,16}})??[\s-]+(?:{named})\b", re.IGNORECASE)
        self._subject = re.compile(
            rf"(?:\b(?i:i|you|he|she|we|they|who|{named})\b(?:\s[\w'-]{{1,16}}){{0,3}}?|{_NAME})"
            rf"\s?{_COPULA}(?:\s[\w'-]{{1,16}}){{0,3}}?[\s-]$"
        )

    def meant(self, text: str, start: int, end: int) -> bool:
        """Whether what stands at ``start:end`` is said of a person."""
        before = _SENTENCE_END.split(text[max(0, start - CONTEXT_CHARS) : start])[-1]
        after = _SENTENCE_END.split(text[end : end + CONTEXT_CHARS])[0]
        if self._noun_behind.match(after) or _WHO.match(after):
            return True
        return bool(_SAID_OF.match(after) and (_HAS.search(before) or self._subject.search(before)))
