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
_OWN_NAME = r"(?<![Oo]ur )(?<![Tt]he )(?<![Mm]y )(?<![Hh]is )(?<![Hh]er )(?<!\b[Aa] )(?<!\b[Aa]n )" + _NAME
"""A name without an article: "the Beagle" is none."""
_HAS = re.compile(
    r"(?:\b(?:my|your|his|her|their|our|whose|ha(?:s|ve|d)|uses?|used|wears?|practi[cs]\w+|follow(?:s|ed)|left)"
    r"|\bconvert\w* (?:to|from)|\b(?:raised|brought up) in|\bborn into|\bbelieves? in"
    r"|\bvot(?:e|es|ed|ing)(?: for)?(?: the)?|(?<!such )\bas(?= an?\s)"
    r"|\b(?:live|born|diagnose)[sd]? with|\bliving with|\bsuffer\w* from)\s(?:an?\s)?(?:[\w-]{2,12}\s)?$",
    re.IGNORECASE,
)
_SAID_OF = re.compile(
    r"\s*(?:$|[.,;!?)\"'\u2019]"
    r"|(?:and|or|but|from|in|since|with|because|when|while|too|to|on|at|is|was|are|were|has|had)\b)"
)
_ALONE = re.compile(r"\s*(?:$|[.,;!?)\"'\u2019]|(?:and|but|or|so|now|again|since)\b)")
_HELD = re.compile(
    r"(?:\s(?:and|or)\s\w+)?\s(?:passport|citizenship|nationality|descent|ancestry|by birth"
    r"|heritage(?!\s(?:site|railway|trail|cent|list)))\b",
    re.IGNORECASE,
)
"""What people alone have."""
_WHO = re.compile(r",?\s(?:who|whose|whom|aged)\b")


class People:
    """Judges by a list of nouns for people."""

    def __init__(self, nouns: Iterable[str]) -> None:
        named = "|".join(sorted(map(re.escape, nouns)))
        self._noun_behind = re.compile(rf"(?:[\s-]+[\w-]{{1,16}})??[\s-]+(?:{named})\b", re.IGNORECASE)
        self._subject = re.compile(
            rf"(?:\b(?i:i|you|he|she|we|they|who|{named})\b(?:\s[\w'-]{{1,16}}){{0,3}}?|{_NAME})"
            rf"\s?{_COPULA}(?:\s[\w'-]{{1,16}}){{0,3}}?[\s-]$"
            rf"|\b(?i:{named})\swho\s[^,\n]{{1,60}}?\s{_COPULA}[\s-]$"
        )
        self._named_before = re.compile(
            rf"(?:\b(?i:i|he|she|who|(?:my|your|his|her|our|their|the|an?)\s(?:[\w-]{{1,16}}\s)?(?:{named}))|{_OWN_NAME})\s?$"
        )
        self._said = re.compile(
            rf"(?:\b(?i:i|you|he|she|we|they|who|{named})\b|{_NAME})\s?{_COPULA}"
            r"(?:\s(?:still|now|happily|newly|openly|not|both|currently|also|recently)){0,2}\s$"
        )

    def meant(self, text: str, start: int, end: int) -> bool:
        """Whether what stands at ``start:end`` is said of a person."""
        before, after = _around(text, start, end)
        if self._noun_behind.match(after) or _WHO.match(after) or _HELD.match(after):
            return True
        return bool(_SAID_OF.match(after) and (_HAS.search(before) or self._subject.search(before)))

    def called(self, text: str, start: int, end: int) -> bool:
        """Whether it is what a person is said to be, and nothing follows that it could belong to."""
        before, after = _around(text, start, end)
        return bool(_ALONE.match(after) and self._said.search(before))

    def counted(self, text: str, start: int, end: int) -> bool:
        """Whether a person stands right before, and nothing follows that is counted."""
        before, after = _around(text, start, end)
        return bool(_SAID_OF.match(after) and self._named_before.search(before))


def _around(text: str, start: int, end: int) -> tuple[str, str]:
    """What stands in the same sentence before and behind."""
    before = _SENTENCE_END.split(text[max(0, start - CONTEXT_CHARS) : start])[-1]
    return before, _SENTENCE_END.split(text[end : end + CONTEXT_CHARS])[0]
