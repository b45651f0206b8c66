"""Words that somebody took apart: letters shuffled, spaces at random, pieces of a tokenizer, filler, invented words.

How, each by what an ordinary text cannot be:

- Shuffled: words that are no common words, and have the letters of one. Each weighs how much likelier that is of a
  scrambled word than of an unknown one; a common word weighs against it.
- Pieces: short words that nobody uses, which make common words when the spaces between them are left out.
- Tokens: what tokenizers write around pieces of words ("##ing", "\u0120the", "<unk>").
- Filler: most words are those of "Lorem ipsum"; Latin has its common ones as well, so the invented ones decide.
- Invented: some words, not one of them common in fifteen languages, none short, of letters that fit badly. Languages
  that were not counted have short words or long ones; lists of names have capitals.

Limits: words of invented syllables that sound like a language ("mipa rolu teska") pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from math import log2

from guardrails_plugin.detectors.letter_model import load_model
from guardrails_plugin.detectors.vocabulary import vocabulary

__all__ = ["scrambled"]

_BY_CHANCE = {3: 0.25, 4: 0.14, 5: 0.06, 6: 0.03}
"""Share of unknown words of so many letters that are an anagram of a common one; longer ones .015."""

_SCRAMBLED = 0.75
"""Share of scrambled words that are an anagram of a word that is common enough to be known."""

_FEWEST = 4
_AHEAD = 12.0
_SURE = 40.0
_PIECES, _PIECE = 10, 3.0
_MARKED = re.compile(
    r"(?:##[^\W\d_]+|[\u0120\u2581][^\W_]*|</?s>|<(?:unk|pad|mask|bos|eos|cls|sep)>|\[(?:MASK|UNK|PAD|CLS|SEP)\]"
    r"|<\|\w+\|>)+\Z",
    re.IGNORECASE,
)
_TOKENS = 5
_FILLER = frozenset(
    "lorem ipsum dolor sit amet consectetur adipiscing adipisicing elit sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi "
    "aliquip ex ea commodo consequat duis aute irure in reprehenderit voluptate velit esse cillum eu fugiat "
    "nulla pariatur excepteur sint occaecat cupidatat non proident sunt culpa qui officia deserunt mollit "
    "anim id est laborum vestibulum pellentesque habitant morbi tristique senectus netus malesuada fames ac "
    "turpis egestas vivamus vel dignissim praesent maecenas nunc porttitor suscipit tellus mauris ante quam "
    "felis donec faucibus curabitur ultrices posuere cubilia curae integer aliquam lectus massa sapien "
    "euismod fringilla phasellus viverra nam libero justo etiam cras pretium hendrerit".split()
)
_INVENTED_FILLER = frozenset(
    "lorem adipiscing adipisicing eiusmod incididunt ullamco cillum cupidatat pellentesque malesuada "
    "vestibulum porttitor dignissim euismod phasellus curabitur fringilla hendrerit consectetur".split()
)
_FILLER_SHARE, _LATIN_WORDS = 0.6, 5
_INVENTED, _AVERAGE, _UNFIT = 5, 7.5, -0.06
_SHORT = 3


def scrambled(words: Sequence[str], text: str) -> tuple[str, float] | None:
    """The kind of scrambling and its bits, for the words of a text.

    >>> scrambled("siht si a ecnetnes nettirw sdrawkcab".split(), "")[0]
    'shuffled'
    """
    if _is_tokens(text):
        return "tokens", _SURE
    low = [word.lower() for word in words]
    if len(low) < _FEWEST or len(low) > _MOST:
        return None
    common = vocabulary().costs
    if _is_filler(low):
        return "filler", _SURE
    if 2 * sum(word in common for word in low if len(word) >= _SHORT) > len(low):
        return None
    bits = _shuffled(low, common)
    if bits > 0:
        return "shuffled", bits + _AHEAD
    if _is_in_pieces(low, common):
        return "pieces", _SURE
    return ("invented", _SURE) if _is_invented(words, low, common, text) else None


_MOST = 400
"""Words of texts that are looked at: longer ones show it by other signs."""


def _shuffled(words: Sequence[str], common: dict[str, float]) -> float:
    bits = 0.0
    for word in words:
        size = len(word)
        if size < _SHORT or word in common:
            bits -= 0.5 if size < _SHORT else 2.5
        elif "".join(sorted(word)) in _anagrams():
            bits += log2(_SCRAMBLED / _BY_CHANCE.get(size, 0.015))
        else:
            bits += log2((1 - _SCRAMBLED) / (1 - _BY_CHANCE.get(size, 0.015)))
    return bits


@cache
def _anagrams() -> frozenset[str]:
    return frozenset("".join(sorted(word)) for word in vocabulary().costs if len(word) >= _SHORT)


def _is_in_pieces(words: Sequence[str], common: dict[str, float]) -> bool:
    letters = "".join(words)
    unknown = sum(word not in common for word in words)
    if len(words) < _PIECES or len(letters) > _PIECE * len(words) or 2 * unknown < len(words) or not letters.isascii():
        return False
    if 2 * sum(len(word) == 1 for word in words) > len(words):  # spaced out, and readable
        return False
    whole = [word for word in vocabulary().segmented(letters[:120]) if len(word) >= _SHORT]
    return sum(map(len, whole)) > 0.8 * len(letters[:120]) and len(whole) < 0.7 * len(words)


def _is_tokens(text: str) -> bool:
    if not ("##" in text or "<" in text or "[" in text or "\u0120" in text or "\u2581" in text):
        return False
    parts = text.split()
    marked = sum(_MARKED.match(part) is not None for part in parts)
    return marked >= _TOKENS and 2 * marked > len(parts)


def _is_filler(words: Sequence[str]) -> bool:
    if _INVENTED_FILLER.isdisjoint(words):
        return False
    own = sum(word in _FILLER for word in words)
    return own >= _LATIN_WORDS and own >= _FILLER_SHARE * len(words) and len(_INVENTED_FILLER.intersection(words)) > 1


def _is_invented(words: Sequence[str], low: Sequence[str], common: dict[str, float], text: str) -> bool:
    if len(low) < _INVENTED or any(len(word) < _SHORT or word in common for word in low):
        return False
    if any(word != small for word, small in zip(words[1:], low[1:], strict=True)) or len(set(low)) < len(low):
        return False
    letters = sum(map(len, low))
    if letters > _AVERAGE * len(low) or not "".join(low).isascii() or _TECHNICAL.search(text):
        return False
    model = load_model()["latin"]
    return sum(map(model.surplus, low)) > _UNFIT * letters


_TECHNICAL = re.compile(r"[\d_/\\=<>{}\[\]()@#|]|\w\.\w|-\w|'")
"""What stands in commands, identifiers and formulas."""
