"""Whether a name that is an everyday word as well ("Apple", "Target") is meant as a name where it stands.

How: in the middle of a sentence the capital tells, unless an article stands before it and no thing of a company behind
("the Amazon app", not "the Amazon"). Where a sentence begins, every word has a capital: there the name has to act (a
verb, a possessive) or to go on with a capital. In lower case it takes a word of dealing with somebody right before it.

Source: English orthography of proper names (Huddleston and Pullum, The Cambridge Grammar of the English Language,
chapter 5): singular nouns that count things need a determiner, names have none.
Limits: English; ``data/common_words.txt`` says what an everyday word is. Titles in capitals and colours that begin a
sentence ("Orange is ...") are judged by one neighbouring word.
"""

from __future__ import annotations

import re

from guardrails_plugin.detectors.vocabulary import vocabulary
from guardrails_plugin.matching import CONTEXT_CHARS

__all__ = ["everyday", "meant"]

_BEGINNING = re.compile(r"(?:^|[.!?:]\s+|\n\s*|[\"\u201c(*#>-]\s*)$")
_ARTICLE = re.compile(r"\b(?:an?|the|this|that|these|those)\s+(?:[a-z-]+\s+)?$", re.IGNORECASE)
_OWNED = re.compile(
    r"['\u2019]s\b|\s+(?:apps?|account|card|branch|store|shop|station|site|website|plan|offer|deal|price|service|product"
    r"|brand|team|customer|employee|spokes\w+|contract|order|delivery|voucher|shares|ceo)s?\b",
    re.IGNORECASE,
)
_ACTS = re.compile(
    r"['\u2019]s\b|\s+(?:[A-Z]|(?:has|had|does|did|will|would|can|may|and|or|vs|isn|doesn|won|can)\b"
    r"|(?!(?:based|colou?red|flavou?red|sized|shaped|scented)\b)[a-z]{2,}ed\b"
    r"|(?:is|was) (?:cheaper|better|worse|faster|slower|offering|selling|paying|still|now|also|more|less)\b"
    r"|(?:says|said|offers|sells|sold|charges|allows|lets|gives|gave|pays|paid|makes|made|ships|takes|costs|wants|plans)\b)"
)
_DEALS = re.compile(
    r"\b(?:(?:switch\w*|mov\w+|go\w*) (?:to|from)"
    r"|(?:contract|account|customer|mortgage|plan|subscription|deal) (?:with|at|from|of)"
    r"|(?:buy|bought|order\w*|work\w*) (?:\w+ )?(?:from|at|for|on)"
    r"|compared (?:to|with)|cheaper than|better than|vs\.?)\s+$",
    re.IGNORECASE,
)


def everyday(name: str) -> bool:
    """True for a single word of the common vocabulary, or one so short that it is a piece of words."""
    return name.casefold() in vocabulary().costs or (len(name) <= _PIECE and name.isalpha() and name.isupper())


_PIECE = 3


def meant(text: str, start: int, end: int) -> bool:
    """Whether an everyday word at ``start:end`` is a name there."""
    before, after = text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS]
    said = text[start:end]
    if not said[:1].isupper():
        return _DEALS.search(before) is not None
    if said.isupper() and len(said) > 1:
        return True
    if _BEGINNING.search(before):
        return _ACTS.match(after) is not None or _OWNED.match(after) is not None
    return _ARTICLE.search(before) is None or _OWNED.match(after) is not None
