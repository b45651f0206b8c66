"""Which characters are folded, dropped or decoded before detection, and why. Source: the Unicode Character Database.

``FOLDED``: compatibility forms (fullwidth, mathematical, circled letters), digits of other scripts, typographic
quotes, dashes and spaces, by what they stand for in ASCII (NFKC, Unicode Standard Annex 15).
``DROPPED``: characters that show nothing: zero-width and bidirectional controls, fillers, variation selectors, tags,
and combining accents (detection ignores accents; the text itself keeps them).
``CONFUSABLES``: Cyrillic, Greek and Armenian letters drawn like Latin ones (Unicode Technical Standard 39).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

__all__ = ["BIDI", "CONFUSABLES", "DROPPED", "FOLDED", "SMUGGLING", "ZERO_WIDTH", "decode_smuggled"]


def _chars(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


ZERO_WIDTH = _chars((0x200B, 0x200D), (0x2060, 0x2064), (0xFEFF, 0xFEFF), (0x180E, 0x180E), (0x00AD, 0x00AD))
"""Invisible, some with a use (ZWJ in emoji, ZWNJ in Persian, soft hyphens)."""

BIDI = _chars((0x202A, 0x202E), (0x2066, 0x2069))
"""Embeddings, overrides and isolates: they make text read in another order than it is stored."""

_TAGS = _chars((0xE0000, 0xE007F))
_SELECTORS = _chars((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_FILLERS = _chars((0x115F, 0x1160), (0x3164, 0x3164), (0xFFA0, 0xFFA0), (0x200E, 0x200F)) | {"\u061c", "\u034f"}
_ACCENTS = _chars((0x0300, 0x036F))

SMUGGLING = _TAGS | _SELECTORS
"""Characters that can carry a whole hidden message."""

DROPPED = ZERO_WIDTH | BIDI | _TAGS | _SELECTORS | _FILLERS | _ACCENTS

_COMPATIBILITY = (
    (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F), (0x2070, 0x209C), (0x2100, 0x214F), (0x2160, 0x2188),
    (0x2460, 0x24FF), (0x3000, 0x3000), (0xFB00, 0xFB06), (0xFE50, 0xFE6B), (0xFF01, 0xFF5E), (0x1D400, 0x1D7FF),
    (0x1F110, 0x1F169), (0x00A0, 0x00A0), (0x02B0, 0x02B8), (0x1D2C, 0x1D6A), (0x017F, 0x017F), (0x00AA, 0x00BA),
)  # fmt: skip
_DIGITS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0E50, 0x0ED0)
_NEGATIVE = {chr(first + i): chr(65 + i) for first in (0x1F150, 0x1F170) for i in range(26)}
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))


def _folded() -> dict[str, str]:
    table: dict[str, str] = {}
    for char in _chars(*_COMPATIBILITY):
        plain = unicodedata.normalize("NFKC", char)
        if plain != char and plain.isascii():
            table[char] = plain
    for zero in _DIGITS:
        table |= {chr(zero + digit): str(digit) for digit in range(10)}
    table |= dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'") | dict.fromkeys("\u201c\u201d\u201e\u2033", '"')
    table |= dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-") | {"\u2024": "."}
    return table | _NEGATIVE | _SMALL_CAPITALS


FOLDED = _folded()

_LOOKALIKES = (
    "аa еe оo рp сc уy хx іi јj ѕs ԁd һh ԛq ԝw ӏl ɡg ɑa ɩi "  # Cyrillic and IPA, lower case
    "АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT ХX ԚQ ԜW ҮY кk мm тt вb нh "
    "αa οo ρp ν\u0076 ιi κk υu τt γy ηn χx ωw "  # Greek
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX "
    "օo սu հh ոn ցg ѵv"  # Armenian
)
CONFUSABLES = {pair[0]: pair[1] for pair in _LOOKALIKES.split()}

_ASCII_TAGS = {chr(0xE0000 + code): chr(code) for code in range(0x20, 0x7F)}
_RUN = re.compile(
    f"[{re.escape(''.join(sorted(SMUGGLING)))}]{{3,}}(?:(?:(?![\\x00-\\x7f])[^\\W\\d_]){{1,2}}[{''.join(_ASCII_TAGS)}]+)*"
)
"""Tags have no letters beyond ASCII: one or two of them among tags belong to the message."""


def decode_smuggled(text: str) -> Iterator[tuple[int, int, str]]:
    """Messages hidden in tags (U+E0020..7E mirror ASCII) and variation selectors (one of 256 per byte).

    Yields:
        ``(start, end, message)`` for each run of at least three such characters that says something, or, where no
        run does, the message of all selectors of the text together (one behind each visible character).
    """
    whole = True
    for match in _RUN.finditer(text):
        tags = not _ASCII_TAGS.keys().isdisjoint(match.group())
        message = _tagged(match.group()) if tags else _selected(match.group())
        if _says(message):
            whole = False
            yield match.start(), match.end(), message
    if whole:
        yield from _scattered(text)


def _tagged(run: str) -> str:
    return "".join(_ASCII_TAGS.get(char, char if char.isalpha() else "") for char in run)


def _scattered(text: str) -> Iterator[tuple[int, int, str]]:
    places = [at for at, char in enumerate(text) if char in _SELECTORS and char not in _PRESENTATION]
    message = _selected([text[at] for at in places]) if len(places) >= _LEAST_SCATTERED else ""
    if _says(message):
        yield places[0], places[-1] + 1, message


_PRESENTATION = frozenset("\ufe0e\ufe0f")
"""Text or emoji style: a use that every chat has."""

_LEAST_SCATTERED = 8


def _selected(chars: Iterable[str]) -> str:
    return bytes(_selector_byte(char) for char in chars if char in _SELECTORS).decode("utf-8", "replace")


def _says(message: str) -> bool:
    return len(message) >= 3 and all(char.isprintable() or char in "\r\n\t" for char in message)


def _selector_byte(char: str) -> int:
    code = ord(char)
    return code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16
