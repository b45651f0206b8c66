"""Whether text in other scripts than Latin reads from its beginning or from its end: one small table of letter pairs.

The table (``data/letter_order.npz``, made by ``training.letter_order``) holds for two neighbouring characters how much
oftener they stand in this order than in the other, in bits. Turned round, a text turns the sign of each of its pairs;
the stretch with the heaviest sum against the usual order (Kadane, 1984) was written backwards if that is more than
chance. Pairs have their place by a hash: two that share it disturb each other, but no text can be read from the table.

Limits: letters of Latin script count as one sign (their words are known, see `guesses`); languages that the table has
not seen weigh little, and are not turned round.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PLACES", "UNIT", "backward_stretch", "load_letter_order", "pairs"]

PLACES = 1 << 15
"""Places of the table."""

UNIT = 16
"""Steps of a bit in the table."""

_FIRST = 0x370
"""The first letter behind the Latin blocks, and the marks that these share with others."""

_SPACE, _OTHER = 0x20, 0x30

_BITS = 16.0
"""Weight of a stretch that was written backwards: of 800 held-back texts in other scripts that stand as they were
written, one in two hundred weighs as much."""


_SURE = 4.0
"""Weight of a word from which it stands as it was written, beside a stretch that does not."""

_WORD = re.compile(r"\S+")


def pairs(text: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Place and sign of each pair of neighbours; pairs without a foreign letter have the sign 0.

    The pair in the other order has the same place and the other sign.
    """
    # Deferred: not needed for the most texts, which are in Latin letters.
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    foreign = codes >= _FIRST
    gap = np.fromiter(map(str.isspace, text), bool, len(text))
    codes = np.where(foreign, codes, np.where(gap, _SPACE, _OTHER))
    one, other = codes[:-1], codes[1:]
    place = (np.minimum(one, other) * 40_503 + np.maximum(one, other) * 69_069) >> 3
    return place % PLACES, np.sign(other - one) * (foreign[:-1] | foreign[1:])


def backward_stretch(text: str) -> tuple[int, int] | None:
    """Where a text was written backwards, at most one stretch; None for a text that reads as it stands."""
    if text.isascii() or max(text) < chr(_FIRST):
        return None
    import numpy as np

    place, sign = pairs(text)
    against = -load_letter_order()[place].astype(np.int64) * sign
    sums = np.concatenate([[0], np.cumsum(against)])
    rises = sums - np.minimum.accumulate(sums)
    end = int(np.argmax(rises))
    if rises[end] < _BITS * UNIT:
        return None
    start = end - int(np.argmin(sums[end::-1]))
    return _whole_words(text, sums, start, end + 1)


def _whole_words(text: str, sums: NDArray[Any], start: int, end: int) -> tuple[int, int]:
    """The stretch with all of the words that it cuts, and the words beside it that may have been written so, too."""
    while text[start] < chr(_FIRST):
        start += 1
    while text[end - 1] < chr(_FIRST):
        end -= 1
    words = [found.span() for found in _WORD.finditer(text)]
    first = next(n for n, word in enumerate(words) if word[1] > start)
    last = next(n for n, word in enumerate(words) if word[1] >= end)
    while first and _doubtful(text, sums, *words[first - 1]):
        first -= 1
    while last + 1 < len(words) and _doubtful(text, sums, *words[last + 1]):
        last += 1
    return words[first][0], words[last][1]


def _doubtful(text: str, sums: NDArray[Any], start: int, end: int) -> bool:
    return max(text[start:end]) >= chr(_FIRST) and sums[start] - sums[end - 1] < _SURE * UNIT


@cache
def load_letter_order() -> NDArray[Any]:
    """The embedded table: int8, sixteenths of a bit, for the smaller code in front of the larger."""
    import numpy as np

    data = (files("guardrails_plugin.detectors") / "data" / "letter_order.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as file:
        table: NDArray[Any] = file["bits"]
    return table
