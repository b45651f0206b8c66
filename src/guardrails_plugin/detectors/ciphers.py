"""Letters put in the place of others: shifted alphabets, turned letters, pig latin.

Sources: Caesar's cipher and Atbash by their names; upside-down letters from the International Phonetic Alphabet, as
generators of such text use them.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from string import ascii_lowercase, ascii_uppercase

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.stretches import LEAST_HITS, WORD, disjoint, replaced, undone, whole
from guardrails_plugin.detectors.vocabulary import Vocabulary, vocabulary

__all__ = ["pig_latin_runs", "rot13_runs", "shifted_runs", "turned_runs"]

_TELLING = 500
"""Common words of which each form in each cipher is known."""

_ROT13 = 13

_TURNED = dict(
    zip(
        "\u0250q\u0254p\u01dd\u025f\u0183\u0265\u1d09\u027e\u029el\u026fuodb\u0279s\u0287n\u028c\u028dx\u028ez",
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
) | {"\u0131": "i", "\u05df": "l", "\u0253": "g"}
_TURN = str.maketrans(_TURNED)
_ODD = re.compile("[\u0250\u0254\u01dd\u025f\u0183\u0265\u1d09\u027e\u029e\u026f\u0279\u0287\u028c\u028d\u028e]")
"""Letters of which ordinary text has none but in phonetic spelling."""

_LEAST_ODD = 6
"""Such letters from which a text may be upside down."""

_MOVED = 3
"""Letters that pig latin moves to the end at most."""


def rot13_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Rot13, by all common words."""
    if len(words & common.rot13) >= LEAST_HITS:
        for start, end in whole(text, _rot13, common):
            yield start, end, _rot13(text[start:end])


def _rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def shifted_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """The alphabet shifted by any other number, or from its end, where that makes some of the commonest words."""
    forms = _forms()
    hits = Counter(cipher for word in words & forms.keys() for cipher in forms[word])
    told = [_ciphers()[cipher] for cipher, number in sorted(hits.items()) if number >= LEAST_HITS]
    yield from disjoint(run for table in told for run in _undone_by(table, text, common))


def _undone_by(table: dict[int, int], text: str, common: Vocabulary) -> Iterator[Run]:
    for start, end in whole(text, lambda word: word.translate(table), common):
        yield start, end, text[start:end].translate(table)


@cache
def _ciphers() -> list[dict[int, int]]:
    """What undoes each shift but 0 and 13, and Atbash."""
    shifts = [shift for shift in range(1, len(ascii_lowercase)) if shift != _ROT13]
    orders = [
        ascii_lowercase[::-1],
        *(ascii_lowercase[shift:] + ascii_lowercase[:shift] for shift in shifts),
    ]
    return [str.maketrans(ascii_lowercase + ascii_uppercase, order + order.upper()) for order in orders]


@cache
def _forms() -> dict[str, tuple[int, ...]]:
    """How common words look in each cipher, and in which."""
    costs = vocabulary().costs
    ascii_words = (word for word in sorted(costs, key=costs.__getitem__) if len(word) > 2 and word.isascii())
    telling = list(islice(ascii_words, _TELLING))
    forms: dict[str, tuple[int, ...]] = {}
    for number, undo in enumerate(_ciphers()):
        hide = {to: place for place, to in undo.items()}
        for word in telling:
            form = word.translate(hide)
            if form not in costs:
                forms[form] = (*forms.get(form, ()), number)
    return forms


def turned_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """Text upside down, which reads from its end."""
    if text.isascii() or sum(1 for _ in islice(_ODD.finditer(text), _LEAST_ODD)) < _LEAST_ODD:
        return
    for start, end in whole(text, _turned, common):
        yield start, end, _turned(text[start:end])


def _turned(text: str) -> str:
    return text.translate(_TURN)[::-1]


def pig_latin_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Words whose first letters stand at their end, with ``ay`` behind."""
    if sum(word.endswith("ay") and word not in common.costs for word in words) >= LEAST_HITS:
        yield from replaced(text, undone(text, WORD, lambda word: _from_pig_latin(word, common)), common)


def _from_pig_latin(word: str, common: Vocabulary) -> str:
    if not word.endswith("ay"):
        return ""
    stem = word[:-2]
    read = [stem[-moved:] + stem[:-moved] for moved in range(1, min(_MOVED, len(stem)) + 1)]
    return next((plain for plain in (*read, stem.removesuffix("w")) if plain in common.costs), read[0] if read else "")
