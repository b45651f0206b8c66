"""Attacks in disguise: of those that are found in plain, how many still are; and innocent texts in the same guise.

Held-back rows of 30 to 400 characters: English ones, other languages in Latin script, other scripts. Ten disguises are
the ones that research and scanners name; the others are what else is easily done by hand. Innocent texts that are
flagged in plain are left out.
"""

from __future__ import annotations

import base64
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from guardrails_plugin.detectors.scripts import scripts
from guardrails_plugin.training import augment
from tests.quality.injection.rows import Judge, Row, drawn, held_back

SIZE = 150

_FIRST_SELECTORS, _FURTHER_SELECTORS = 0xFE00, 0xE0100 - 16
_TURNED = "\u0250q\u0254p\u01dd\u025f\u0183\u0265\u1d09\u027e\u029el\u026fuodb\u0279s\u0287n\u028c\u028dx\u028ez"
_BRAILLE = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵"
_ACCENT = "\u0301"


def emoji(text: str) -> str:
    """The bytes as variation selectors behind an emoji (Butler 2025, "Smuggling arbitrary data through an emoji")."""
    return "\U0001f600" + "".join(
        chr((_FIRST_SELECTORS if byte < 16 else _FURTHER_SELECTORS) + byte) for byte in text.encode()
    )


def percent(text: str) -> str:
    """The bytes as percent codes."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def escapes(text: str) -> str:
    """The letters as escapes of JSON and Python."""
    return "".join(f"\\u{ord(char):04x}" if char.isalpha() and ord(char) < 0x10000 else char for char in text)


def entities(text: str) -> str:
    """The characters as numbered entities of HTML."""
    return "".join(f"&#{ord(char)};" for char in text)


def words_backwards(text: str) -> str:
    """Each word read from its end."""
    return " ".join(word[::-1] for word in text.split())


def hyphens(text: str) -> str:
    """A hyphen between all characters."""
    return "-".join(text)


def without_gaps(text: str) -> str:
    """A space between all letters and none between words."""
    return " ".join("".join(text.split()))


def glued(text: str) -> str:
    """No space at all."""
    return "".join(text.split())


def accents(text: str) -> str:
    """An accent on every letter."""
    return unicodedata.normalize("NFC", "".join(char + _ACCENT if char.isalpha() else char for char in text))


def by_line(text: str) -> str:
    """A character a line."""
    return "\n".join(text)


def emphasis(text: str) -> str:
    """The first letter of each word in bold, as Markdown writes it."""
    return " ".join(f"**{word[:1]}**{word[1:]}" for word in text.split())


def tags_inside(text: str) -> str:
    """An empty element of HTML behind every third character."""
    return "".join(char + "<b></b>" * (place % 3 == 1) for place, char in enumerate(text))


def comments(text: str) -> str:
    """A comment of C behind every fourth character."""
    return "/**/".join(text[at : at + 4] for at in range(0, len(text), 4))


def strings(text: str) -> str:
    """Pieces of a string, put together by signs of addition."""
    return " + ".join(f'"{text[at : at + 5]}"' for at in range(0, len(text), 5))


def underscores(text: str) -> str:
    """An underscore for each space."""
    return text.replace(" ", "_")


def shifted(text: str) -> str:
    """Each letter by the third behind it (Caesar)."""
    small, large = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(small + large, small[3:] + small[:3] + large[3:] + large[:3]))


def atbash(text: str) -> str:
    """The alphabet from its end."""
    small, large = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(small + large, small[::-1] + large[::-1]))


def upside_down(text: str) -> str:
    """Letters turned, the last one first."""
    return text.lower().translate(str.maketrans(string.ascii_lowercase, _TURNED))[::-1]


def pig_latin(text: str) -> str:
    """The first letter of each word behind it, and ``ay``."""
    return " ".join(f"{word[1:]}{word[0]}ay" if word[:1].isalpha() and word[1:] else word for word in text.split())


def braille(text: str) -> str:
    """English letters in Braille."""
    return text.lower().translate(str.maketrans(string.ascii_lowercase, _BRAILLE))


def flag_letters(text: str) -> str:
    """Regional indicator symbols for letters."""
    return "".join(
        chr(0x1F1E6 + ord(char) - ord("a")) if char in string.ascii_lowercase else char for char in text.lower()
    )


def quoted_printable(text: str) -> str:
    """The bytes as mails encode them."""
    return "".join(f"={byte:02X}" for byte in text.encode())


def base32(text: str) -> str:
    """The bytes in base32."""
    return base64.b32encode(text.encode()).decode()


NAMED: dict[str, Callable[[str], str]] = {
    "zero-width": augment.zero_width,
    "tags": augment.tags,
    "homoglyphs": augment.homoglyph,
    "fullwidth": augment.fullwidth,
    "base64": augment.base64_text,
    "hex": augment.hexadecimal,
    "leet": augment.leet,
    "spaced": augment.spaced,
    "reversed": augment.backwards,
    "emoji selectors": emoji,
}
OTHERS: dict[str, Callable[[str], str]] = {
    "rot13": augment.rot13,
    "capitals": augment.upper,
    "percent codes": percent,
    "escapes": escapes,
    "entities": entities,
    "accents": accents,
    "glued": glued,
    "words reversed": words_backwards,
    "spaced, no gaps": without_gaps,
    "hyphens": hyphens,
    "a letter a line": by_line,
    "emphasis": emphasis,
    "tags inside": tags_inside,
    "comments": comments,
    "strings": strings,
    "underscores": underscores,
    "shifted by three": shifted,
    "atbash": atbash,
    "upside down": upside_down,
    "pig latin": pig_latin,
    "braille": braille,
    "flag letters": flag_letters,
    "quoted-printable": quoted_printable,
    "base32": base32,
}
OF_ANY_SCRIPT = {name: NAMED[name] for name in ("zero-width", "base64", "hex", "spaced", "reversed", "emoji selectors")}
"""Of the ten, those that do not leave most letters as they are where few are Latin."""

ENGLISH = "English"
LANGUAGES: Mapping[str, Mapping[str, Callable[[str], str]]] = {
    ENGLISH: NAMED,
    "other languages, Latin script": NAMED,
    "other scripts": OF_ANY_SCRIPT,
}
"""Disguises that texts of each group of languages are measured in."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is put in disguise."""

    attacks: list[Row]
    innocent: list[Row]


@dataclass(frozen=True, slots=True)
class Disguise:
    """Shares: of attacks that are found, of innocent texts that are flagged."""

    name: str
    found: float
    flagged: float


def measured(judge: Judge, names: Mapping[str, Callable[[str], str]], of: Texts) -> Iterator[Disguise]:
    """Each disguise of these texts."""
    for name, hide in names.items():
        found, flagged = (judge.flags([hidden(row, hide) for row in rows]).mean() for rows in (of.attacks, of.innocent))
        yield Disguise(name, float(found), float(flagged))


def texts(judge: Judge, size: int = SIZE, languages: str = ENGLISH) -> Texts:
    """At most ``size`` attacks that are found in plain, and innocent texts that are not flagged."""
    short = [row for row in held_back() if 30 < len(row.text) < 400 and languages_of(row) == languages]
    # A part of them is lost to the plain reading: twice as many are drawn.
    both = (drawn([row for row in short if row.label is label], 2 * size) for label in (True, False))
    attacks, innocent = (judge.kept(rows, flagged=label) for rows, label in zip(both, (True, False), strict=True))
    return Texts(attacks[:size], innocent[:size])


def languages_of(row: Row) -> str:
    """Which of `LANGUAGES` a row belongs to, by the script of most of its letters."""
    if row.lang == "en":
        return ENGLISH
    found = scripts(row.text)
    _, latin, other = LANGUAGES
    return latin if 2 * found["latin"] > found.total() else other


def hidden(row: Row, hide: Callable[[str], str]) -> Row:
    """The row in disguise."""
    return Row(hide(row.text), row.label, row.origin, row.lang)


def lines(scale: float) -> Iterator[str]:
    """The tables: every disguise of English texts, and the ten in other languages."""
    judge = Judge()
    for languages, named in LANGUAGES.items():
        of = texts(judge, round(SIZE * scale), languages)
        yield (
            f"{languages}, held back: {len(of.attacks)} attacks found in plain, "
            f"{len(of.innocent)} innocent texts not flagged in plain"
        )
        for names in (named, OTHERS) if languages == ENGLISH else (named,):
            rows = []
            for row in measured(judge, names, of):
                rows.append(row)
                yield f"  {row.name:16} found {row.found:.3f}  innocent flagged {row.flagged:.3f}"
            found, flagged = np.mean([row.found for row in rows]), np.mean([row.flagged for row in rows])
            yield f"  mean of these {len(rows):2} found {found:.3f}  innocent flagged {flagged:.3f}"
