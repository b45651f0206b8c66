"""The ways in which one name of a company is written: short, apart, in the plural, as initials, in Latin letters.

Limits: nicknames, and abbreviations that are no initials, have to be in the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guardrails_plugin.detectors.competitors_meant import Kind, kind_of
from guardrails_plugin.detectors.vocabulary import vocabulary

__all__ = ["bare", "forms", "initials"]

_LEGAL_FORM = re.compile(
    r"[\s,]+(?:inc|incorporated|llc|ltd|limited|plc|corp|corporation|co|company|group|holdings?|gmbh|ag|kg|se|s\.?a|"
    r"s\.?a\.?s|sarl|s\.?r\.?l|s\.?p\.?a|b\.?v|n\.?v|a/?s|ab|oy|oyj|sp\.?\s?z\s?o\.?o|k\.?k|pty|pte|llp|lp)\.?$",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"\.[a-z]{2,3}$", re.IGNORECASE)
_SHORTEST = 3
_DISTINCT = 5
_PARTS = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z]{2})")
_SMALL = frozenset("of and the for de du la le y e & und".split())
_APOSTROPHE = re.compile(r"['\u2019]")

_CYRILLIC = {
    **dict(zip("абвгдезийклмнопрстуфыэё", "abvgdeziiklmnoprstufyee", strict=True)),
    "ж": "zh",
    "х": "kh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ю": "yu",
    "я": "ya",
    "ь": "",
    "ъ": "",
    "і": "i",
    "ї": "i",
    "є": "ye",
    "ґ": "g",
}


def bare(name: str) -> str:
    """The name without its legal form, unless next to nothing is left."""
    name = name.strip()
    short = _LEGAL_FORM.sub("", name)
    return short if len(short) >= _SHORTEST else name


def forms(name: str) -> Iterator[str]:
    """The name, and without legal form, with its parts apart, without apostrophe, in short and in the plural.

    >>> list(forms("SkyHop Ltd"))
    ['SkyHop Ltd', 'SkyHop', 'Sky Hop', 'Sky-Hop', 'SkyHops']
    >>> list(forms("Northwind Traders"))
    ['Northwind Traders', 'Northwind']
    """
    yield name
    if not name.strip():
        return
    short = bare(name)
    if short != name.strip():
        yield short
    if (apart := _PARTS.sub(" ", short)) != short:
        yield from (apart, apart.replace(" ", "-"))
    if _APOSTROPHE.search(short):
        yield from (_APOSTROPHE.sub(sign, short) for sign in ("'", "\u2019", ""))
    if kind_of(domainless := _DOMAIN.sub("", short)) is Kind.NOTHING and domainless != short:
        yield domainless
    yield from _head(short)
    if (latin := _latin(short)) != short:
        yield from dict.fromkeys((latin, latin.replace("ks", "x")))
    if len(short) >= _SHORTEST and short.isalpha() and kind_of(short) is not Kind.WORD:
        yield f"{short}s"


def initials(name: str) -> Iterator[str]:
    """The capitals of three words and more, as people put them together.

    >>> list(initials("Bank of America")), list(initials("Amazon Web Services, Inc."))
    (['BofA', 'BoA', 'BOA'], ['AWS'])
    """
    words = bare(name).split()
    if not all(word[0].isupper() or word in _SMALL for word in words) or len(words) < _SHORTEST:
        return
    great = [word for word in words if word not in _SMALL]
    found = ["".join(word[0] for word in great)] if len(great) >= _SHORTEST else []
    if len(great) < len(words):
        whole = "".join(word if word == "of" else word[0] for word in words)
        letters = "".join(word[0] for word in words)
        found = [*found, *([whole] if "of" in words else []), letters, letters.upper()]
    yield from dict.fromkeys(found)


def _head(name: str) -> Iterator[str]:
    """The first word, if it is no word and the rest says only what the company does ("Northwind Traders")."""
    first, *rest = name.split()
    common = vocabulary().costs
    distinct = len(first) >= _DISTINCT and first[0].isupper() and kind_of(first) is Kind.NOTHING
    if rest and distinct and all(word.casefold() in common or word.casefold() in _TRADES for word in rest):
        yield first


_TRADES = frozenset(
    "airlines airways analytics bancorp bank brewery capital cloud energy foods insurance labs logistics "
    "media mobility motors networks partners pharma pharmaceuticals robotics software solutions studios "
    "systems technologies telecom traders trading ventures".split()
)


def _latin(name: str) -> str:
    """A Cyrillic name in Latin letters; others as they are."""
    if not any("\u0400" <= char <= "\u04ff" for char in name):
        return name
    return "".join(_CYRILLIC.get(char, char) for char in name.lower()).capitalize()
