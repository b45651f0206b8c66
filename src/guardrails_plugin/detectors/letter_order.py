"""Whether text reads from its beginning or from its end, in whatever script: one small table of letter pairs.

The table (``data/letter_order.npz``, made by ``training.letter_order``) holds for two neighbouring characters how much
oftener they stand in this order than in the other, in bits. Turned round, a text turns the sign of each of its pairs;
the stretch with the heaviest sum against the usual order (Kadane, 1984) was written backwards if that is more than
chance. Pairs have their place by a hash: two that share it disturb each other, but no text can be read from the table.

Limits: languages that the table has not seen weigh little, and are not turned round; nor are a few words.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PLACES", "UNIT", "backward_stretches", "load_letter_order", "pairs"]

PLACES = 1 << 16
"""Places of the table."""

UNIT = 16
"""Steps of a bit in the table."""

_FIRST_FOREIGN = "\u0370"
"""The first character behind the Latin blocks; scripts from here on have marks that are part of their letters."""

_SPACE, _SIGN = 0x20, 0x30
"""What all spaces, and all signs that belong to no script, count as."""

_DRIFT = 0.2
"""Bits that each pair takes from a stretch: letters by chance, as in keys, else add up to one in the long run."""

_BITS = 16.0
"""Weight of a stretch that was written backwards. Of 4,712 held-back texts that stand as they were written 5 have one,
of those turned round .98 do."""

_LEAST = 16
"""Characters of a text that can weigh as much: seldom more than a bit each."""

_MOST = 4
"""Stretches of a text that are looked for: one must not hide the others."""

_TAKEN = -1e6
"""Weight of what is part of a stretch already: no other goes across it."""

_SURE = 4.0
"""Weight of a word from which it stands as it was written, beside a stretch that does not."""

_WORD = re.compile(r"\S+")
_CODE = re.compile(r"[!-~]{25,}")
"""Runs without a space that are no words: keys, encoded data, paths."""


def pairs(text: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Place and sign of each pair of neighbours; two that count as the same have the sign 0.

    The pair in the other order has the same place and the other sign.
    """
    # Deferred: costs more than the detectors that need no model.
    import numpy as np

    given, which = np.unique(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32), return_inverse=True)
    codes = np.array([_counted_as(chr(code)) for code in given.tolist()], np.int64)[which]
    one, other = codes[:-1], codes[1:]
    place = (np.minimum(one, other) * 40_503 + np.maximum(one, other) * 69_069) >> 3
    return place % PLACES, np.sign(other - one)


def _counted_as(char: str) -> int:
    if char.isalpha():
        small = char.lower()
        return ord(small if len(small) == 1 else char)
    if char.isspace():
        return _SPACE
    return ord(char) if char >= _FIRST_FOREIGN else _SIGN


def backward_stretches(text: str) -> list[tuple[int, int]]:
    """Where a text was written backwards, the plainest first; nothing of a text that reads as it stands."""
    if len(text) < _LEAST:
        return []
    import numpy as np

    place, sign = pairs(_CODE.sub(lambda run: " " * len(run.group()), text))
    against = -load_letter_order()[place] * sign - _DRIFT * UNIT
    found: list[tuple[int, int]] = []
    while len(found) < _MOST:
        sums = np.concatenate([[0.0], np.cumsum(against)])
        rises = sums - np.minimum.accumulate(sums)
        end = int(np.argmax(rises))
        if rises[end] < _BITS * UNIT:
            break
        start = end - int(np.argmin(sums[end::-1]))
        found.append(_whole_words(text, against, start, end))
        against[slice(*found[-1])] = _TAKEN
    return found


def _whole_words(text: str, against: NDArray[Any], start: int, end: int) -> tuple[int, int]:
    """The stretch with all of the words that it cuts, and the words beside it that may have been written so, too."""
    words = [found.span() for found in _WORD.finditer(text)]
    first = next(n for n, word in enumerate(words) if word[1] > start + 1)
    last = next((n for n, word in enumerate(words) if word[1] >= end), len(words) - 1)
    while first and _doubtful(against, *words[first - 1]):
        first -= 1
    while last + 1 < len(words) and _doubtful(against, *words[last + 1]):
        last += 1
    return words[first][0], words[last][1]


def _doubtful(against: NDArray[Any], start: int, end: int) -> bool:
    """Whether a word may stand backwards: with the spaces beside it, it weighs against that no more than so much."""
    return float(against[max(0, start - 1) : end].sum()) > -_SURE * UNIT


@cache
def load_letter_order() -> NDArray[Any]:
    """The embedded table: sixteenths of a bit, for the smaller code in front of the larger."""
    import numpy as np

    data = (files("guardrails_plugin.detectors") / "data" / "letter_order.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as file:
        return np.asarray(file["bits"], np.float32)
