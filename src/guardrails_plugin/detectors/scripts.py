"""Which script a letter belongs to, and which languages are written in it.

Source: Unicode Standard, Blocks.txt (the letters' blocks; rare extensions left out) and the languages of ``LANGUAGES``
by their usual script (CLDR, likely subtags, from memory).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping

__all__ = ["LANGUAGES", "SCRIPTS", "script_of", "scripts"]

_BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x024F, "latin"), (0x0250, 0x02AF, "latin"), (0x0370, 0x03FF, "greek"), (0x0400, 0x052F, "cyrillic"),
    (0x0531, 0x058F, "armenian"), (0x0590, 0x05FF, "hebrew"), (0x0600, 0x06FF, "arabic"), (0x0700, 0x074F, "syriac"),
    (0x0750, 0x077F, "arabic"), (0x0780, 0x07BF, "thaana"), (0x08A0, 0x08FF, "arabic"), (0x0900, 0x097F, "devanagari"),
    (0x0980, 0x09FF, "bengali"), (0x0A00, 0x0A7F, "gurmukhi"), (0x0A80, 0x0AFF, "gujarati"), (0x0B00, 0x0B7F, "odia"),
    (0x0B80, 0x0BFF, "tamil"), (0x0C00, 0x0C7F, "telugu"), (0x0C80, 0x0CFF, "kannada"), (0x0D00, 0x0D7F, "malayalam"),
    (0x0D80, 0x0DFF, "sinhala"), (0x0E00, 0x0E7F, "thai"), (0x0E80, 0x0EFF, "lao"), (0x0F00, 0x0FFF, "tibetan"),
    (0x1000, 0x109F, "myanmar"), (0x10A0, 0x10FF, "georgian"), (0x1100, 0x11FF, "hangul"), (0x1200, 0x139F, "ethiopic"),
    (0x1780, 0x17FF, "khmer"), (0x1800, 0x18AF, "mongolian"), (0x1E00, 0x1EFF, "latin"), (0x1F00, 0x1FFF, "greek"),
    (0x3040, 0x309F, "kana"), (0x30A0, 0x30FF, "kana"), (0x3130, 0x318F, "hangul"), (0x31F0, 0x31FF, "kana"),
    (0x3400, 0x4DBF, "han"), (0x4E00, 0x9FFF, "han"), (0xA960, 0xA97F, "hangul"), (0xAC00, 0xD7FF, "hangul"),
    (0xF900, 0xFAFF, "han"), (0xFB1D, 0xFB4F, "hebrew"), (0xFB50, 0xFDFF, "arabic"), (0xFE70, 0xFEFE, "arabic"),
    (0xFF66, 0xFF9F, "kana"), (0x20000, 0x3FFFF, "han"),
)  # fmt: skip
_STARTS = [start for start, _, _ in _BLOCKS]

SCRIPTS: Mapping[str, frozenset[str]] = {
    script: frozenset(codes.split())
    for script, codes in {
        "greek": "el",
        "cyrillic": "ru uk be bg mk sr sh kk ky mn tg tt ba cv ce os sah kv mhr mrj myv xal av lez bxr krc tyv rue ab "
        "az uz tk",
        "armenian": "hy",
        "hebrew": "he yi",
        "arabic": "ar fa ur ps sd ckb ug arz pnb mzn azb ks lrc ku az ms kk uz",
        "syriac": "arc",
        "thaana": "dv",
        "devanagari": "hi mr ne sa mai bh gom new sd ks hif",
        "bengali": "bn as bpy",
        "gurmukhi": "pa",
        "gujarati": "gu",
        "odia": "or",
        "tamil": "ta",
        "telugu": "te",
        "kannada": "kn",
        "malayalam": "ml",
        "sinhala": "si",
        "thai": "th",
        "lao": "lo",
        "tibetan": "bo",
        "myanmar": "my",
        "georgian": "ka xmf",
        "hangul": "ko",
        "ethiopic": "am",
        "khmer": "km",
        "mongolian": "mn",
        "kana": "ja",
        "han": "zh ja",
    }.items()
}
"""Languages written in a script; of Latin, those that are in no other list, and some that are."""

LANGUAGES = frozenset(
    "ab af als am an ar arc arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca ce ceb ckb co cs cv cy da "
    "de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv ha he hi hif hr hsb ht hu hy ia id "
    "ie ig ilo io is it ja jv ka kk km kn ko krc ks ku kv ky la lb lez li lmo lo lrc lt lv mai mg mhr mi min mk ml mn "
    "mr mrj ms mt mwl my myv mzn nah nap nb nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue "
    "sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa "
    "war wuu xal xh xmf yi yo yue zh zu".split()
)
"""ISO 639 codes that settings may name: two letters where there are two."""


def script_of(char: str) -> str:
    """The script of a letter; empty for what is no letter, ``other`` for scripts without an entry."""
    if not char.isalpha():
        return ""
    code = ord(char)
    at = bisect_right(_STARTS, code) - 1
    return _BLOCKS[at][2] if at >= 0 and code <= _BLOCKS[at][1] else "other"


def scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has.

    >>> scripts("ab \u0436 \u4e2d 1")["latin"]
    2
    """
    if text.isascii():
        return Counter({"latin": sum(map(str.isalpha, text))})
    found: Counter[str] = Counter()
    for char, number in Counter(text).items():
        if script := script_of(char):
            found[script] += number
    return found
