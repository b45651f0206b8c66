"""Whether a name that is a word or a given name as well ("Apple", "Wendy") is meant as a company where it stands.

How: what stands beside it decides, the plainest sign first: an address or a version speaks for a company; a title, a
relative, a surname, a kind of place, a label in quotation marks against it. Then come dealings (a verb or possessive
behind, a word of switching, comparing or buying before), and last orthography: in the middle of a sentence the capital
tells, unless a determiner stands before; where every word has one (beginnings, headings, lines in capitals), it says
nothing. The commoner the name is as a word, the more has to speak for it (`kind_of`).

Source: English orthography of proper names (Huddleston and Pullum, The Cambridge Grammar of the English Language,
chapter 5): singular nouns that count things need a determiner, names have none. German nouns all have capitals, so that
there the article decides.
Limits: English, for the most part; ``data/common_words.txt`` and ``data/words_as_names.txt`` say what a word is.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from importlib import resources

from guardrails_plugin.detectors.vocabulary import vocabulary
from guardrails_plugin.matching import CONTEXT_CHARS

__all__ = ["Kind", "deals", "everyday", "kind_of", "meant"]


class Kind(Enum):
    """What a name is apart from a company."""

    WORD = "word"
    CALENDAR = "calendar"
    """A word that always has a capital."""
    GIVEN = "given"
    NOTHING = "nothing"


_PIECE = 3
_CALENDAR = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december".split()
)


@cache
def _lists() -> dict[str, frozenset[str]]:
    file = resources.files("guardrails_plugin.detectors") / "data" / "words_as_names.txt"
    lines = (line.partition("\t") for line in file.read_text("utf-8").splitlines() if not line.startswith("#"))
    found: dict[str, set[str]] = {"word": set(), "given": set(), "only": set()}
    for kind, _, words in lines:
        found[kind].update(words.split())
    return {kind: frozenset(words) for kind, words in found.items()}


def kind_of(name: str) -> Kind:
    """What a name is apart from a company; several words are one when all are common.

    >>> kind_of("Wendy").value, kind_of("Best Buy").value, kind_of("Globex").value
    ('given', 'word', 'nothing')
    """
    words = re.findall(r"[^\W\d_]+", name.casefold())
    if not words or _ADDRESS.search(name):
        return Kind.NOTHING
    (one, *more) = words
    if not more or more == ["s"]:
        if one in _lists()["only"]:
            return Kind.NOTHING
        if one in _CALENDAR:
            return Kind.CALENDAR
        if one in _lists()["given"]:
            return Kind.GIVEN
        if one in _lists()["word"] or one.removesuffix("s") in _lists()["word"]:
            return Kind.WORD
    return Kind.WORD if everyday(name) or all(word in vocabulary().costs for word in words) else Kind.NOTHING


_ADDRESS = re.compile(r"[a-z]\.[a-z]{2,}$", re.IGNORECASE)


def everyday(name: str) -> bool:
    """True for a single word of the common vocabulary, or one so short that it is a piece of words."""
    return name.casefold() in vocabulary().costs or (len(name) <= _PIECE and name.isalpha() and name.isupper())


_BEGINNING = re.compile(r"(?:^|[.!?:]\s+|\n\s*|[\"\u201c(*#>-]\s*)$")
_ARTICLE = re.compile(
    r"\b(?:an?|the|this|that|these|those|which|what|no|any|every|each|another|some|one)\s+(?:[a-z-]+\s+)?$",
    re.IGNORECASE,
)
_NEWEST = re.compile(r"\b(?:the|a) (?:all-)?(?:new|newest|latest)\s+$", re.IGNORECASE)
_GERMAN = re.compile(r"\b(?:[Ee]in(?:e[mnrs]?)?|[Kk]ein\w*|[Dd]as|[Dd]e[nms]|[Ii]m|[Zz]um|[Bb]eim|[Vv]om|Der)\s+$")
_LOWER_ARTICLE = re.compile(
    r"\b(?:an?|the|this|that|my|your|his|her|its|some|no|every|each)\s+(?:[a-z]+\s+)?$", re.IGNORECASE
)
_SELLS = (
    r"(?:apps?|apis?|sdk|account|card|branch|store|shop|station|site|website|plan|offer|deal|pric\w+|service|product"
    r"|brand|team|customer|employee|spokes\w+|contract|order|delivery|voucher|shares|stock|ceo|support|subscription|fees?"
    r"|rates?|tariff|invoice|integration|import\w*|export\w*|workspace|channel|help ?desk|software|platform|devices?"
    r"|membership|checkout|checking|savings|users?|competitor|alternative|connector|plugin|login|licen[cs]e|terms)s?\b"
)
_OWNED = re.compile(rf"(?:['\u2019]s)?\s+(?:[a-z-]+\s)?{_SELLS}", re.IGNORECASE)
_NEXT_OWNED = re.compile(rf"\s+{_SELLS}", re.IGNORECASE)
_CASE_ENDING = re.compile(r"['\u2019][^\W\d_]{1,4}\b")
_POSSESSIVE = re.compile(r"['\u2019]s?\s")
_GERMAN_GOES_ON = re.compile(r"-|\s+[A-Z]")
_VERBS = (
    r"(?:(?:has|had|does|did|will|would|isn|doesn|won)\b"
    r"|(?!(?:based|colou?red|flavou?red|sized|shaped|scented|needed|required|related)\b)[a-z]{2,}ed\b"
    r"|(?:is|was|are) (?:cheaper|better|worse|faster|slower|offering|selling|paying|still|also|\w+ing our|the competit)"
    r"|(?:says|said|offers?|sells|sold|charges|allows|lets|gives|gave|pays|paid|makes|made|ships|takes|wants"
    r"|plans|flies|quoted|beats|announces|provides|supports|includes|bought|acquires|costs (?:less|more|half|twice))\b)"
)
_ACTS = re.compile(rf"['\u2019]s\b|\s+(?:[A-Z]|(?:and|or|vs\.?|versus) [A-Z]|{_VERBS})")
_VERB = re.compile(rf"\s+{_VERBS}", re.IGNORECASE)
_DEALS = re.compile(
    r"\b(?:(?:switch\w*|mov\w+|go\w*|went|came|com\w+|chang\w+|migrat\w+|import\w*|export\w*) (?:over )?(?:to|from)"
    r"|(?:contract|account|customer|mortgage|plan|subscription|deal|bank\w*|booked|competitor|rival|quote|offer)s?"
    r" (?:with|at|from|of|like)"
    r"|(?:buy\w*|bought|order\w*|work\w*|shop\w*) (?:\w+ )?(?:from|at|on)"
    r"|(?:stick\w*|stay\w*|signed up|integrat\w+|competes?) (?:with|to|for|against)"
    r"|(?:alternatives?|competitors?|rivals?|compar\w+|similar|evaluat\w+ \w+) (?:to|with|of|against)"
    r"|(?:cheaper|better|worse|faster|slower|easier|more|less) than|instead of|unlike|vs\.?|versus|chez|bei)\s+$",
    re.IGNORECASE,
)
_ENDS = (
    r"(?=\s*(?:$|[.,;:?!)])"
    r"|\s+(?:before|instead|but|and|or|for|because|since|when|now|last|already|so|yet|is|was|has)\b)"
)
_USED = re.compile(r"\b(?:us(?:e|es|ed|ing)|tr(?:y|ied|ying)|prefer\w*|recommend\w*|join\w*)\s+$", re.IGNORECASE)
_USES = re.compile(
    r"\b(?:us(?:e|es|ed|ing)|tr(?:y|ied|ying)|prefer\w*|recommend\w*|join\w*|ask(?:ed)?|with|at)\s+$", re.IGNORECASE
)
_NOTHING_MORE = re.compile(_ENDS, re.IGNORECASE)
_VERSION = re.compile(r"\s+v?\d+\.\d+|\s*[\u00ae\u2122]")
_HOST = re.compile(r"\.(?:[a-z]{2,6})(?:\b|/)(?![\w-]*\()")
_RELATIVE = (
    r"(?:brother|sister|son|daughter|mother|father|mum|mom|dad|wife|husband|friend|colleague|boss|manager|aunt|uncle"
    r"|cousin|neighbou?r|boy|girl|dog|cat|named|called|hi|hello|hey|dear|thanks|cheers|mrs?|ms|miss|dr|prof|sir|lady"
    r"|frau|herrn?|se\u00f1ora?|monsieur|madame|liebe[r]?|hallo)"
)
_PERSON = re.compile(rf"\b{_RELATIVE}[.,]?\s+$", re.IGNORECASE)
_PERSON_GOES_ON = re.compile(
    r",?\s+(?:from|in|and (?:I|me)\b|(?:told|asked|wrote|called|signed|will (?:see|call|be)|is my|was my|who|she|he)\b)"
)
_PLACE = re.compile(
    r"\s+(?:[A-Z]\w+\s+)?(?:rivers?|basin|rain ?forests?|valley|streets?|st|avenue|ave|roads?|rd|lanes?"
    r"|mountains?|lakes?|islands?"
    r"|parks?|counties|county|creek|hills?|bay|beach|bridge|schools?|university|church|museum|prize|festival|tribes?"
    r"|trees?|blossoms?|seeds?|juice|pie|sauce|oil|peel)\b",
    re.IGNORECASE,
)
_PLACE_BEFORE = re.compile(
    r"\b(?:planet|river|lake|mount|saint|st\.?|port|cape|isle of|city of|letter|colou?r)\s+$", re.IGNORECASE
)
_OUR = re.compile(r"\b(?:our|unser\w*|notre|nos|nuestr\w+)\s+(?:[a-z]+\s+)?$", re.IGNORECASE)
_THEIRS = re.compile(
    r"['\u2019]?\s+(?:workspace|channel|account|subscription|instance|contract|integration|store|rep|bill|invoice|data)s?\b"
)
_SURNAME = re.compile(r"\s+(?:[A-Z]\.\s+)?([A-Z][a-z]+)")
_NAME_BEFORE = re.compile(r"(?<![\w'\u2019])([A-Z][a-z\u00e0-\u024f]+)\s+$")
_LABEL = re.compile(r"[\"\u201c\u00ab'\u2018`][^\"\u201d\u00bb`.!?\n]{0,40}$")
_LABEL_END = re.compile(r"[^\"\u201c\u00ab`.!?\n]{0,40}[\"\u201d\u00bb'\u2019`]")


_GERMAN_TEXT = re.compile(r"\b(?:und|ich|wir|ist|nicht|mit|f\u00fcr|ein|eine|hat|haben|seit|auf)\b")


def deals(text: str, start: int) -> bool:
    """Whether a word of dealing with somebody stands right before a place.

    >>> deals("we switched to them", 15)
    True
    """
    return _DEALS.search(text, max(0, start - CONTEXT_CHARS), start) is not None


def meant(text: str, start: int, end: int, kind: Kind = Kind.WORD) -> bool:
    """Whether a name of a kind, at ``start:end``, is a company's there: by one sign after the other, plainest first."""
    before, after = text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS]
    said = text[start:end]
    if before.endswith(("@", "www.")) or _HOST.match(after) or _VERSION.match(after):
        return True
    if _PERSON.search(before) and not _NEXT_OWNED.match(after):
        return False
    if not _is_capital(said):
        return _in_lower_case(before, after, kind)
    if kind is Kind.NOTHING:
        return _named_in_german(before, after)
    if _is_other_thing(before, after):
        return False
    if said.isupper() and len(said) > 1:
        return not _shouting(before, after) or _DEALS.search(before) is not None or _VERB.match(after) is not None
    return _in_capitals(before, after, kind)


def _in_capitals(before: str, after: str, kind: Kind) -> bool:
    """The same of a name with capitals as names have them."""
    if _DEALS.search(before) or _OWNED.match(after):
        return True
    if kind is Kind.GIVEN:
        return _is_no_person(before, after)
    if kind is Kind.CALENDAR:
        return _USED.search(before) is not None
    if _BEGINNING.search(before) or _is_heading(before, after):
        return _ACTS.match(after) is not None or _CASE_ENDING.match(after) is not None
    return _ARTICLE.search(before) is None or _NEWEST.search(before) is not None


def _is_capital(said: str) -> bool:
    """Every longer word of it."""
    return all(word[0].isupper() for word in said.split() if len(word) > _PIECE or len(said.split()) == 1)


def _in_lower_case(before: str, after: str, kind: Kind) -> bool:
    owned = _OWNED.match(after) is not None
    if kind is Kind.NOTHING:
        return owned or _LOWER_ARTICLE.search(before) is None
    if _DEALS.search(before) and not _PLACE.match(after):
        return True
    if kind is Kind.WORD and _USED.search(before) and _NOTHING_MORE.match(after):
        return True
    return _POSSESSIVE.match(after) is not None and owned


def _named_in_german(before: str, after: str) -> bool:
    return _GERMAN.search(before) is None or _GERMAN_GOES_ON.match(after) is not None


def _is_other_thing(before: str, after: str) -> bool:
    """A place, a work, somebody's surname, a label, one's own product."""
    if _PLACE.match(after) or _PLACE_BEFORE.search(before):
        return True
    if _OUR.search(before) and not _THEIRS.match(after):
        return True
    if _LABEL.search(before) and _LABEL_END.match(after):
        return True
    if _GERMAN.search(before) and not _GERMAN_GOES_ON.match(after):
        return True
    name = _NAME_BEFORE.search(before)
    if name is None or _OWNED.match(after) or _GERMAN_TEXT.search(before):
        return False
    begins = _BEGINNING.search(before[: name.start()]) is not None
    return not begins or name[1].casefold() not in vocabulary().costs


def _is_no_person(before: str, after: str) -> bool:
    surname = _SURNAME.match(after)
    if surname is not None:
        return surname[1].casefold() in vocabulary().costs
    if _BEGINNING.search(before) or _PERSON_GOES_ON.match(after):
        return False
    return _USES.search(before) is not None and _ARTICLE.search(before) is None


def _shouting(before: str, after: str) -> bool:
    """Whether the words around are in capitals, too."""
    around = re.findall(r"[^\W\d_]{2,}", before.rpartition("\n")[2] + " " + after.partition("\n")[0])
    return bool(around) and 2 * sum(map(str.isupper, around)) > len(around)


def _is_heading(before: str, after: str) -> bool:
    """Whether all longer words of the line have capitals."""
    around = re.findall(r"[^\W\d_]{4,}", before.rpartition("\n")[2] + " " + after.partition("\n")[0])
    return len(around) > 1 and all(word[0].isupper() for word in around)
