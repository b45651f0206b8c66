"""Names written as they sound in other scripts: "Майкрософт", "サムスン", "구글", "مايكروسوفت".

How: consonants survive transcription, vowels do not (the idea of Soundex, Russell, 1918). Each letter of the text
becomes its class of consonants in one pass (`str.translate`), vowels vanish; a word whose classes are those of a name,
with one of its usual readings, is a candidate. Of names with three consonants the first vowel has to fit as well.

Limits: Cyrillic, Greek, Hebrew, Arabic, Devanagari, Katakana and Korean; four consonants and more in scripts without
vowels; names that are translated instead of transcribed, and Chinese, are not found; names that are common words count
only with a capital in the middle of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product

from guardrails_plugin.detectors.competitors_loose import LooseHit
from guardrails_plugin.detectors.competitors_meant import Kind, kind_of

__all__ = ["Sounds"]

_CLASSES = {
    "P": "бвпф βπφ בפףו بفپڤ बभवपफ バビブベボパピプペポヴファ",
    "K": "гкґ γκχξ גכךק غقكگک कखगघ カキクケコガギグゲゴ",
    "T": "дт δτθ דטת تدطذثض तथदधटठडढ タテトダデド",
    "R": "лр λρ לר لر लरड़ ラリルレロ",
    "M": "м μ מם م म マミムメモ",
    "N": "н ν נן ن नणं ナニヌネノン",
    "S": "жзсцчшщ ζσςψ זסצץש زسشصجچظ सशषचछजझज़ サシスセソザジズゼゾチツヂヅジャ",
}
_SMALL_KANA = "ァィゥェォャュョッー・"
_SMALL = {ord(char): kind for kind, chars in _CLASSES.items() for char in chars if char not in (" ", *_SMALL_KANA)}
_TABLE = {
    **_SMALL,
    **{ord(chr(code).upper()): kind for code, kind in _SMALL.items() if len(chr(code).upper()) == 1},
    **{ord(char): "KS" for char in "ξΞ"},
    **{ord(char): "PS" for char in "ψΨ"},
}
_INITIAL = ("K", "K", "N", "T", "T", "R", "M", "P", "P", "S", "S", "", "S", "S", "S", "K", "T", "P", "")
_FINAL: tuple[str, ...] = ("", *"KKKNNNTRKMPTTPRMPPTTNTTKTP", "")


def _hangul(code: int) -> str:
    place = code - 0xAC00
    return f"{_INITIAL[place // 588]}{_FINAL[place % 28]}"


class _Table(dict[int, str]):
    """What each character becomes; consonants of Korean syllables are worked out, everything else vanishes."""

    def __missing__(self, code: int) -> str:
        found = _hangul(code) if 0xAC00 <= code <= 0xD7A3 else " " if code in _SPACES or code == ord(" ") else ""
        self[code] = found
        return found


_LETTERS = _Table(_TABLE)
_OTHER_SCRIPT = re.compile("[\u0370-\u06ff\u0900-\u097f\u30a0-\u30ff\uac00-\ud7a3]")
_KATAKANA = re.compile("[\u30a0-\u30ff]{3,}")
_WORD = re.compile("[^\\s!-/:-@\\[-`{-~\u00ab\u00bb\u2018-\u201e\u3001\u3002\uff01\uff0c\u060c\u061f\u0964]+")
_ABJAD = re.compile("[\u0590-\u06ff]")
_CASED = re.compile("[\u0370-\u052f]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_PARTICLE = re.compile(
    r"(?:이|가|은|는|을|를|의|에|로|와|과|도|만|보다|에서|으로|한테|이랑|랑|처럼|까지|부터|а|у|ом|е|ы|ой|ами|ах|ов|ем|я|и|ου|ο)\Z"
)
_ENDINGS = ("", *"MPKNRTS", "NN", "RR", "MN", "PT", "NT")
"""What `_PARTICLE` and the like sound."""

_SPACES = {ord(space): " " for space in "\n\t\r\u00a0"}
_WITHIN = re.compile(r"[^\s.!?:]\s+\Z")
_ENOUGH = 4
_FEWEST = 3
_MOST_READINGS = 96

_READINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tch", ("S",)), ("sch", ("S",)), ("ph", ("P",)), ("sh", ("S",)), ("ch", ("S", "K", "")), ("th", ("T", "S")),
    ("ck", ("K",)), ("qu", ("K", "KP")), ("ng", ("N", "NK")), ("gh", ("K", "")), ("x", ("KS",)), ("j", ("S", "TS", "")),
    ("ge", ("K", "S", "TS")), ("gi", ("K", "S", "TS")), ("ce", ("S",)), ("ci", ("S",)), ("cy", ("S",)), ("c", ("K",)),
    ("w", ("P", "")), ("h", ("", "K")), ("q", ("K",)),
    ("v", ("P",)), ("b", ("P", "MP")), ("d", ("T", "NT")), ("y", ("",)), ("r", ("R", "")), ("z", ("S", "TS")),
    *((letter, (kind,)) for letter, kind in zip("pfgktlmns", "PPKKTRMNS", strict=True)),
)  # fmt: skip
_DOUBLED = re.compile(r"([^aeiou])\1")
_VOWELS = re.compile(r"[aeiouy]+")


class Sounds:
    """The names by their consonants."""

    def __init__(self, names: Sequence[str]) -> None:
        self._kinds = [kind_of(name) for name in names]
        self._spelt = [re.sub("[^a-z]", "", name.casefold()) if name.isascii() else "" for name in names]
        self._names: dict[str, int] = {}
        for number, name in enumerate(self._spelt):
            for reading in _readings(name) if len(name) >= _ENOUGH else ():
                if len(reading) >= _FEWEST:
                    self._names.setdefault(reading, number)
        self._ended = frozenset(reading + ending for reading in self._names for ending in _ENDINGS)

    def find(self, text: str) -> Iterator[LooseHit]:
        """Hits in a text."""
        if not self._names or text.isascii() or not _OTHER_SCRIPT.search(text):
            return
        for start, word in self._candidates(text):
            number = self._names.get(sounds := word.translate(_LETTERS))
            if number is not None and self._fits(text, start, word, sounds, number):
                yield LooseHit(start, start + len(word), number, "transcribed")

    def _candidates(self, text: str) -> Iterator[tuple[int, str]]:
        for found in _KATAKANA.finditer(text):
            yield found.start(), found.group()
        keys = text.translate(_LETTERS).split(" ")
        if _ABJAD.search(text):  # articles and prepositions of one letter are written with the word
            keys = [key if key in self._ended else key[1:] for key in keys]
        if self._ended.isdisjoint(keys):
            return
        at = 0
        for part, key in zip(text.translate(_SPACES).split(" "), keys, strict=True):
            if key in self._ended:
                for word in _WORD.finditer(part):
                    yield from _bare(at + word.start(), word.group())
            at += len(part) + 1

    def _fits(self, text: str, start: int, word: str, sounds: str, number: int) -> bool:
        common = self._kinds[number] is not Kind.NOTHING
        if _ABJAD.match(word):
            return len(sounds) >= _ENOUGH and not common
        if common:
            return bool(_CASED.match(word)) and word[0].isupper() and _WITHIN.search(text, 0, start) is not None
        return len(sounds) >= _ENOUGH or _same_vowel(word, self._spelt[number])


def _bare(start: int, word: str) -> Iterator[tuple[int, str]]:
    """A word as it stands, and without endings and articles that are written with it."""
    short = _PARTICLE.sub("", word)
    if _HANGUL.match(word):  # particles sound like parts of names: the shorter reading first
        yield start, short
    yield start, word
    if _ABJAD.match(word):
        yield from ((start + size, word[size:]) for size in (1, 2))
    elif short != word:
        yield start, short


def _readings(name: str) -> set[str]:
    """Classes of consonants in each usual pronunciation."""
    name = _DOUBLED.sub(r"\1", name)
    choices: list[tuple[str, ...]] = []
    at = 0
    while at < len(name):
        spelt, sounds = next(((s, k) for s, k in _READINGS if name.startswith(s, at)), (name[at], ("",)))
        if spelt == "r" and name[at + 1 : at + 2] in tuple("aeiouy"):
            sounds = ("R",)
        at += len(spelt) if spelt[-1:] not in "eiy" or len(spelt) == 1 else 1
        choices.append(sounds)
    return {"".join(chosen) for chosen in islice(product(*choices), _MOST_READINGS)}


_CLOSE = {
    "a": "аαアカサタナハマヤラワガザダバパए",
    "o": "оаωοオコソトノホモヨロゴゾドボポウ",
    "u": "уюυウクスツヌフムユルグズブプ",
}


def _same_vowel(word: str, name: str) -> bool:
    """Whether the first vowel of a word can be that of the name."""
    first = _VOWELS.search(name)
    if first is None:
        return True
    spelt = "u" if first.group() in ("oo", "ou", "u") else first.group()[0]
    if _HANGUL.match(word):
        medials = {((ord(char) - 0xAC00) % 588) // 28 for char in word[:1] if "\uac00" <= char <= "\ud7a3"}
        return bool(medials & _MEDIALS.get(spelt, frozenset()))
    return any(char in _CLOSE.get(spelt, word.lower()) for char in word.lower()[:3])


_MEDIALS = {
    "a": frozenset((0, 1, 2, 4, 5)), "e": frozenset((1, 4, 5, 20)), "i": frozenset((0, 2, 20)),
    "o": frozenset((0, 4, 8, 13)), "u": frozenset((0, 4, 13, 17, 18)), "y": frozenset((0, 2, 20)),
}  # fmt: skip
