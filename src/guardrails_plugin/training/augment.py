"""Disguises of a text. Labels never change: a disguised benign text stays benign.

The runtime undoes zero-width characters, tags, homoglyphs and full-width letters, and decodes base64 and hex,
before the model reads a text. Those disguises therefore have a small share here; what no decoder undoes (leet,
rot13, reversal, spacing, case) has most.
"""

from __future__ import annotations

import base64
import codecs
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from guardrails_plugin.training.data import Example

HABIT, SLIP = 0.5, 0.3
"""Shares of hurried texts without capitals or final stop, and with two letters swapped; not measured."""

LEAST_FOR_SLIP = 12
HURRIED = 300
"""Characters of a text that somebody types in a hurry: a few lines."""

_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_HOMOGLYPHS = str.maketrans("aeopcxyAEOPCX", "аеорсхуАЕОРСХ")
_FULLWIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_TAG_BASE = 0xE0000


def zero_width(text: str) -> str:
    """A zero-width space after every character."""
    return "\u200b".join(text)


def tags(text: str) -> str:
    """ASCII as invisible Unicode tag characters."""
    return "".join(chr(_TAG_BASE + ord(char)) if char.isascii() else char for char in text)


def homoglyph(text: str) -> str:
    """Some Latin letters as their Cyrillic twins."""
    return text.translate(_HOMOGLYPHS)


def fullwidth(text: str) -> str:
    """ASCII in full-width forms."""
    return text.translate(_FULLWIDTH)


def base64_text(text: str) -> str:
    """The text in base64."""
    return base64.b64encode(text.encode()).decode()


def hexadecimal(text: str) -> str:
    """The text in hexadecimal digits."""
    return text.encode().hex()


def leet(text: str) -> str:
    """Digits for the vowels and for s and t."""
    return text.translate(_LEET)


def spaced(text: str) -> str:
    """A space between all characters."""
    return " ".join(text)


def backwards(text: str) -> str:
    """The text read from its end."""
    return text[::-1]


def rot13(text: str) -> str:
    """Latin letters moved by 13 places."""
    return codecs.encode(text, "rot13")


def upper(text: str) -> str:
    """Capital letters only."""
    return text.upper()


DISGUISES: dict[str, tuple[Callable[[str], str], int]] = {
    "zero_width": (zero_width, 1),
    "tags": (tags, 1),
    "homoglyph": (homoglyph, 1),
    "fullwidth": (fullwidth, 1),
    "base64": (base64_text, 1),
    "hex": (hexadecimal, 1),
    "leet": (leet, 5),
    "spaced": (spaced, 3),
    "backwards": (backwards, 4),
    "rot13": (rot13, 3),
    "upper": (upper, 3),
}
"""Name of a disguise, its function and its weight in the draw."""


def disguised(example: Example, rng: random.Random, *, longest: int = 400) -> Example:
    """The example in a drawn disguise; long texts are left as they are, nobody disguises a whole page."""
    if len(example.text) > longest:
        return example
    names = list(DISGUISES)
    name = rng.choices(names, [DISGUISES[entry][1] for entry in names])[0]
    text = DISGUISES[name][0](example.text)
    return replace(example, text=text, category=f"{example.category}/obf_{name}")


def roughened(text: str, rng: random.Random) -> str:
    """The text as somebody in a hurry types it: lower case, no final stop, letters swapped."""
    if rng.random() < HABIT:
        text = text.lower()
    if rng.random() < HABIT:
        text = text.rstrip(".!")
    if rng.random() < SLIP and len(text) > LEAST_FOR_SLIP:
        place = rng.randrange(2, len(text) - 2)
        text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text


def augmented(
    examples: Iterable[Example], rng: random.Random, *, disguise: float = 0.03, rough: float = 0.08
) -> list[Example]:
    """All examples, plus disguised and roughened copies of a share of the short ones, whatever their label."""
    result: list[Example] = []
    for example in examples:
        result.append(example)
        draw = rng.random()
        if draw < disguise:
            copy = disguised(example, rng)
            if copy is not example:
                result.append(copy)
        elif draw < disguise + rough and len(example.text) < HURRIED:
            result.append(replace(example, text=roughened(example.text, rng)))
    return result
