"""Requests whose answer has no end, or more of it than an answer may have (words: ``data/runaway.toml``).

A pattern finds what is rare (a word of endlessness, a large number, a chain of "for each"); what stands around it in
the same paragraph decides: whether something is asked for at all, and whether the words are quoted, a topic, or what
a program is to do.

Limits: nine languages; how much is asked for is an estimate by kinds of unit; requests spread over turns are not seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from guardrails_plugin.detectors.table import read_table
from guardrails_plugin.matching import Match, Pattern

__all__ = ["begins", "patterns", "questioned", "size"]

_BEFORE, _AFTER = 250, 60
_VERB_LAST = ("ja", "zh")
_BLOCK, _STEM = 256, 24
"""Characters in which verbs are looked for at once, and more than the first word of any verb has."""

_WORD = re.compile(rf"\w{{1,{_STEM}}}")
_LEVEL = 10
"""What "for each" of an unknown number counts."""

_OTHER = 5.0
"""Tokens of a thing that is no known unit, in a chain of "for each"."""

_DEPTH = re.compile(
    r"(?:depth|tiefe|profondeur|profundidad|profondità|profundidade)\s+(?:of|von|de|di)\s+([0-9][0-9.,]*)",
    re.IGNORECASE,
)
_LEVEL_TOKENS = 2000.0

_SPOKEN = {
    "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10, "twenty": 20, "fifty": 50, "hundred": 100,
    "thousand": 10**3, "myriad": 10**4, "million": 10**6, "yi": 10**8, "billion": 10**9,
}  # fmt: skip
_DIGITS = r"[0-9]{1,3}(?:[ .,'’\u00a0\u202f][0-9]{3})+(?![0-9])|[0-9]+"
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_QUOTES = {'"': '"', "“": "”", "«": "»", "「": "」", "„": "“"}
_SEPARATE = re.compile(r"(?:[,;:!]|\b(?:and|then|und|et|y|e|и))\s*$")
_OWNED = re.compile(r"(?:\b(?:of|the|my|this|our|its|your|de los|der|die|des|dei|das)|['’]s)[\s-]*$", re.IGNORECASE)
_TIED = re.compile(
    r"\s+(?!in order|under|for any)(?:at|in|for|the|a|an|by|to|on|with|until you have|before|after|bei|à|en|a)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\s+(?!print|writ|count|generat|repeat|output|respond|call|talk|say|typ|answer)\w+ing\b", re.IGNORECASE
)
_RANGE_END = re.compile(
    r"\s*(?:$|[^\w\s$€£%]|(?:in|and|one|by|without|as|out|please|written|en|et|y|e|in|und|ohne|и|без|scritti|all)\b|ま|$)"
)
_COPIES = re.compile(
    r"(\w+)\s{1,3}(?:copies\s+of|times(?!\s*\d)|repetitions\s+of|kopien\s+von|copias\s+de|copies\s+de|copie\s+di|cópias\s+de|копий)",
    re.IGNORECASE,
)
_STARS = re.compile(r"[\])}\"'a-z]\s?[*×]\s?([0-9]{2,7})(?=\s*[\])}])|[\])}\"']\s?[*×]\s?([0-9]{2,7})")


@cache
def _words() -> Mapping[str, Any]:
    return read_table("runaway")


def _bounded(words: str) -> re.Pattern[str]:
    """Whole words, but for scripts that write none."""
    return re.compile(words if _CJK.search(words) else rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


@cache
def _compiled(key: str, language: str = "") -> re.Pattern[str]:
    table = _row(language) if language else _words()
    words = _bounded(table[key])
    return re.compile(f"{words.pattern}|{table[key + '_cjk']}", re.IGNORECASE) if key + "_cjk" in table else words


@cache
def _values() -> Mapping[str, int]:
    return {word: _SPOKEN[name] for name, words in _words()["number"].items() for word in words}


@cache
def _number() -> re.Pattern[str]:
    plain = sorted((word for word in _values() if not _CJK.search(word)), key=len, reverse=True)
    signs = "".join(word for word in _values() if _CJK.search(word))
    part = rf"(?:{_DIGITS}|(?<![^\W\d])(?:{'|'.join(plain)})(?!\w)|[{signs}])"
    return re.compile(rf"{part}(?:[\s-]?{part}){{0,3}}", re.IGNORECASE)


@cache
def _units() -> tuple[tuple[float, re.Pattern[str]], ...]:
    rest = r"(?:[\s-]+(?:d[ei]\s+|of\s+)?(?:[^\W\d_]{3,14}\s+){0,2}?|\s?)"
    return tuple(
        (float(tokens), re.compile(rf"{rest}(?:{words})(?!(?<=\w)[a-zа-я])", re.IGNORECASE))
        for tokens, words in _words()["unit"].items()
    )


@lru_cache(maxsize=1024)
def _value(spoken: str) -> float:
    """The number that is meant.

    >>> _value("3 million"), _value("10.000"), _value("百万")
    (3000000.0, 10000.0, 1000000.0)
    """
    digits = math.prod(float(re.sub(r"\D", "", run)) for run in re.findall(_DIGITS, spoken))
    words = re.findall(r"[^\W\d_]+", spoken.lower())
    parts = [part for word in words for part in (word if _CJK.search(word) else [word])]
    return float(digits * math.prod(_values().get(part, 1) for part in parts))


def _amounts(text: str) -> Iterator[tuple[float, float]]:
    """Each number and the tokens of its unit, 0 when that is unknown."""
    for depth in _DEPTH.finditer(text):
        yield _value(depth[1]), _LEVEL_TOKENS
    for number in _number().finditer(text):
        known = [tokens for tokens, unit in _units() if unit.match(text, number.end())]
        yield _value(number[0]), min(known, default=0.0)


def size(text: str, language: str) -> float:
    """About how many tokens an answer to this would have: numbers times units, multiplied where it says "each"."""
    amounts = list(_amounts(text))
    levels = len(_compiled("each", language).findall(text))
    best = max((number * tokens for number, tokens in amounts), default=0.0)
    if not levels or levels + len(amounts) < 3:
        return best
    known = [number for number, _ in amounts]
    unit = min((tokens for _, tokens in amounts if tokens), default=_OTHER)
    return max(best, math.prod(known) * unit * float(_LEVEL) ** max(0, levels - len(known)))


def patterns() -> tuple[Pattern, ...]:
    """What is rare in every such request, by language."""
    rows = [
        _pattern(f"endless_{row['name']}", "|".join(row["endless"]), ask=row["name"]) for row in _words()["language"]
    ]
    scales = [word for name in ("thousand", "million", "billion") for word in _words()["number"][name] if len(word) > 2]
    signs = "百千万萬億亿"
    large = rf"[0-9][0-9.,' ’]{{2,14}}[0-9]|[0-9]{{1,4}}\s?[km{signs}]|[{signs}]|{'|'.join(scales)}"
    each = r"\bfor\s{1,2}(?:each|every)\b"
    for_each = rf"{each}[^\n]{{1,90}}{each}(?:[^\n]{{1,90}}{each}){{0,4}}[^\n]{{0,90}}"
    of = r"copies\s{1,3}(?:of|de)|kopien\s{1,3}von|c[oó]pias\s{1,3}de|copie\s{1,3}di"
    copies = rf"\w{{1,9}}\s{{1,3}}(?:{of})"
    by_words = rf"\b{copies}(?:[^~]{{1,80}}{copies}){{1,9}}"
    star = r"[*×]\s?[0-9]{2,7}"
    by_signs = rf"[\])}}\"'a-z]\s?{star}(?:\s?[\])}}][^\n]{{0,4}}{star}){{1,6}}"
    return (
        *rows,
        _pattern("large_number", large),
        _pattern("for_each", for_each, ask="en"),
        _pattern("copies", by_words),
        _pattern("copies_by_signs", by_signs),
    )


def _pattern(name: str, regex: str, ask: str = "") -> Pattern:
    return Pattern(
        name, f"(?:{regex})", "RUNAWAY_REQUEST", 0.75, ignore_case=True, extra={"runaway": True, "language": ask}
    )


def begins(match: Match, limit: float) -> int | None:
    """Where the request begins that a match of `patterns` belongs to; None when it is none, or a fair one.

    Args:
        match: of one of `patterns`.
        limit: tokens from which on an answer is too long.
    """
    name, language = match.pattern.id, str(match.pattern.extra["language"])
    if name.startswith("endless"):
        return _endless(match, language)
    if name.startswith("copies"):
        return _copies(match, limit)
    if name == "for_each":
        return _for_each(match, language, limit)
    return _large(match, limit)


def _endless(match: Match, language: str) -> int | None:
    text, end = match.view.text, match.end
    around = text[max(0, match.start - 1) : match.start] + text[end : end + 1]
    whole = _CJK.search(match.value) or not any(map(str.isalnum, around))
    if not whole or _TIED.match(text, end) or _GOES_ON.match(text, end):
        return None
    return _asked(text, match.start, language)


def _copies(match: Match, limit: float) -> int | None:
    """Copies of copies of copies, to be written out."""
    text = match.view.text
    counts = _COPIES.findall(match.value) or [inner or outer for inner, outer in _STARS.findall(match.value)]
    if math.prod(map(_value, counts)) < limit:
        return None
    asked = any(
        _asked(text, match.start, row["name"]) is not None or _compiled("ask", row["name"]).search(text, match.end)
        for row in _words()["language"]
    )
    return match.start if asked else None


def _for_each(match: Match, language: str, limit: float) -> int | None:
    """Tasks within tasks; the request may stand before them or among them."""
    text = match.view.text
    asked = _asked(text, match.start, language)
    start = match.start if asked is None else asked
    if asked is None and not _compiled("ask", language).search(match.value):
        return None
    if _compiled("code").search(text, max(0, start - _AFTER), match.end):
        return None
    return start if size(text[start : match.end], language) >= limit else None


def _large(match: Match, limit: float) -> int | None:
    text, at = match.view.text, match.start
    first = max(0, at - _BEFORE) // _BLOCK * _BLOCK
    blocks = (text[block : block + _BLOCK + _STEM] for block in range(first, at + _AFTER, _BLOCK))
    spoken = frozenset[str]().union(*map(_spoken, blocks))
    if not spoken or _OWNED.search(text[max(0, at - 12) : at]):
        return None
    languages = (row["name"] for row in _words()["language"] if row["name"] in spoken)
    return next((start for name in languages if (start := _large_in(match, name, limit)) is not None), None)


@lru_cache(maxsize=64)
def _spoken(block: str) -> frozenset[str]:
    """Languages that may have a verb that asks in a part of a text: no other needs a closer look there."""
    unspaced = _VERB_LAST if not block.isascii() and _CJK.search(block) else ()
    return frozenset(unspaced).union(*map(_begun, _WORD.findall(block)))


@lru_cache(maxsize=4096)
def _begun(word: str) -> frozenset[str]:
    """Languages of which a verb, or its first word, is the beginning of this word."""
    return frozenset(name for name, verbs in _first_words() if verbs.match(word))


@cache
def _first_words() -> tuple[tuple[str, re.Pattern[str]], ...]:
    rows = [row for row in _words()["language"] if row["name"] not in _VERB_LAST]
    return tuple((row["name"], re.compile(re.sub(r" [^|)]*", "", row["ask"]), re.IGNORECASE)) for row in rows)


def _large_in(match: Match, language: str, limit: float) -> int | None:
    text = match.view.text
    start = _asked(text, match.start, language, after=match.end)
    if start is None:
        return None
    asked = text[min(start, match.start) : match.end + _AFTER]
    if start < match.start:
        asked = asked.split("\n")[0]
    if size(asked, language) >= limit:
        return start
    return (
        start
        if _counts_up(match, language, text[min(start, max(0, match.start - 12)) : match.start]) >= limit / 2
        else None
    )


def _counts_up(match: Match, language: str, before: str) -> float:
    """The end of a range that is to be counted through; 0 when there is none."""
    numbers = _number().finditer(match.view.text, max(0, match.start - 12))
    number = next((number for number in numbers if number.end() >= match.end), None)
    to = (
        rf"(?<!\w)(?:{_row(language)['to']})(?:\s+an?)?\s*$"
        if language not in _VERB_LAST
        else rf"(?:{_row(language)['to']})\s*$"
    )
    if number is None or not _compiled("number", language).search(before):
        return 0.0
    if not re.search(to, match.view.text[max(0, number.start() - 16) : number.start()], re.IGNORECASE):
        return 0.0
    return _value(number[0]) if _RANGE_END.match(match.view.text, number.end()) else 0.0


def _row(language: str) -> Mapping[str, Any]:
    rows: Sequence[Mapping[str, Any]] = _words()["language"]
    return next(row for row in rows if row["name"] == language)


def _asked(text: str, at: int, language: str, after: int = 0) -> int | None:
    """Where the verb stands that asks for what stands at a place; None when nothing does, or for something else."""
    first = max(0, at - _BEFORE)
    first = max(first, text.rfind("\n\n", first, at) + 1)
    verbs = list(_compiled("ask", language).finditer(text, first, at))
    behind = (
        None if verbs or language not in _VERB_LAST else _compiled("ask", language).search(text, after or at, at + 60)
    )
    if behind:
        between = text[first:at] + text[after or at : behind.start()]
        elsewhere = _compiled("about").search(between) or _compiled("code").search(between)
        return None if elsewhere else at
    for verb in verbs:
        between = text[verb.end() : at]
        if _compiled("code").search(between) or _quoted(between) or questioned(text, verb.start()):
            return None
        if _compiled("about").search(re.split(r"[.;!?。]", between)[-1]) and not _SEPARATE.search(between):
            return None
    return verbs[0].start() if verbs else None


def _quoted(between: str) -> bool:
    return any(
        between.count(left) % 2 if left == right else between.count(left) > between.count(right)
        for left, right in _QUOTES.items()
    ) or len(re.findall(r"(?<!\w)'(?=\w)", between)) > len(re.findall(r"(?<=[\w.!?])'(?!\w)", between))


def questioned(text: str, at: int) -> bool:
    """True when the sentence asks how or why, or tells what someone does."""
    before = re.split(r"[.!?。\n]", text[max(0, at - 120) : at])[-1]
    person = rf"(?<!\w)(?:{_words()['person']})(?:\s\w+)?\s*$"
    return bool(_compiled("question").search(before) or re.search(person, before, re.IGNORECASE))
