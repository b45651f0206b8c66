"""Finds terms from the user's list: words or whole sentences, in any script, also in disguise.

How: Aho-Corasick (1975) over the case-folded text finds every term at once, whatever their number. With ``fuzzy`` it
runs once more over the text's skeleton: digits and signs read as letters (1337), accents off, repeated letters once,
separators left out. A hit in the skeleton is checked letter by letter against the term before it counts.

Source: leet table after Wikipedia, "Leet"; Unicode default case folding (Unicode Standard, section 3.13).
Limits: no stemming and no typing errors; terms under three letters are not looked for in disguise; with
``case_sensitive`` nothing is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from ahocorasick_rs import AhoCorasick
from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Context, Finding, Origin, Segment, Span, Text, View

__all__ = ["Keywords"]

_MOST = 50_000
_EXACT, _DISGUISED = 0.99, 0.85


@dataclass(frozen=True, config=SETTINGS)
class Keywords:
    """A list of terms that must not occur.

    Attributes:
        terms: words, phrases, sentences.
        path: a file with further terms, one a line; ``#`` begins a comment line.
        whole_words: a term inside a longer word does not count.
        case_sensitive: upper and lower case letters differ.
        fuzzy: terms spelt with digits and signs, stretched or spaced out count too.
        allow: phrases in which a term is harmless.
    """

    terms: tuple[str, ...] = ()
    path: Path | None = None
    whole_words: bool = True
    case_sensitive: bool = False
    fuzzy: bool = True
    allow: tuple[str, ...] = ()
    entity_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "BLOCKED_TERM"

    name: ClassVar[str] = "keywords"

    def __post_init__(self) -> None:
        if not self._terms:
            raise ConfigError("keywords: no terms: give terms = [...] or path = a file with one a line")
        if len(self._terms) > _MOST:
            raise ConfigError(f"keywords: {len(self._terms)} terms, at most {_MOST}")

    @property
    def entity_types(self) -> frozenset[str]:
        """The one type it finds."""
        return frozenset({self.entity_type})

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """None."""
        return {}

    @cached_property
    def _terms(self) -> tuple[str, ...]:
        lines: list[str] = []
        if self.path is not None:
            try:
                lines = self.path.read_text("utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"keywords: path: cannot read {self.path}: {type(error).__name__}") from None
        given = [*self.terms, *(line for line in lines if not line.lstrip().startswith("#"))]
        return tuple(term for term in (_canonical(term) for term in given) if term)

    @cached_property
    def _exact(self) -> AhoCorasick:
        fold = self._folded_term
        return AhoCorasick([*(fold(term) for term in self._terms), *(fold(_canonical(term)) for term in self.allow if term)])

    @cached_property
    def _skeletons(self) -> tuple[_Skeleton, ...]:
        return tuple(skeleton for number, term in enumerate(self._terms) if (skeleton := _skeleton(term, number)))

    @cached_property
    def _disguised(self) -> AhoCorasick:
        return AhoCorasick([skeleton.text for skeleton in self._skeletons])

    def _folded_term(self, term: str) -> str:
        return term if self.case_sensitive else term.casefold()

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        best: dict[tuple[int, int], Finding] = {}
        for view in text.views:
            for span, number, score in self._in_view(view):
                if (span.start, span.end) in best:
                    continue
                evidence: dict[str, str | float] = {"term": float(number + 1), "form": "exact" if score == _EXACT else "disguised"}
                if view.kind != "canonical":
                    evidence["view"] = view.kind
                best[span.start, span.end] = Finding(
                    self.name, self.entity_type, score, span.start, span.end, text.segment, evidence
                )
        return by_place(best.values())

    def _in_view(self, view: View) -> Iterator[tuple[Span, int, float]]:
        hits, allowed = self._plain_hits(view.text)
        found = [(start, end, number, _EXACT) for start, end, number in hits]
        if self.fuzzy and not self.case_sensitive and self._skeletons:
            found += [(start, end, number, _DISGUISED) for start, end, number in self._disguised_hits(view.text)]
        for start, end, number, score in _widest(found):
            if not any(first <= start and end <= last for first, last in allowed):
                yield view.span(start, end), number, score

    def _plain_hits(self, text: str) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
        """Exact hits, and the places of allowed phrases."""
        folded = _Folded.of(text, keep_case=self.case_sensitive)
        hits: list[tuple[int, int, int]] = []
        allowed: list[tuple[int, int]] = []
        for number, first, last in self._exact.find_matches_as_indexes(folded.text, overlapping=True):
            start, end = folded.span(first, last)
            if self.whole_words and not _bounded(text, start, end):
                continue
            if number < len(self._terms):
                hits.append((start, end, number))
            else:
                allowed.append((start, end))
        return hits, allowed

    def _disguised_hits(self, text: str) -> Iterator[tuple[int, int, int]]:
        letters, span = _runs(text)
        for index, first, last in self._disguised.find_matches_as_indexes(letters, overlapping=True):
            skeleton, start, end = self._skeletons[index], span(first)[0], span(last - 1)[1]
            if end - start > _LONGEST_RUN * len(skeleton.text) or (self.whole_words and not _bounded(text, start, end)):
                continue
            if _spells(text, [_run(text, *span(at)) for at in range(first, last)], skeleton):
                yield start, end, skeleton.number


def _canonical(term: str) -> str:
    """A term as detectors see texts, spaces evened out."""
    return " ".join(normalize(Segment(term, Origin.SYSTEM)).canonical.split())


_SPACES = re.compile(r"\s{2,}")
_OTHER_SPACE = re.compile(r"[^\S ]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@plain_dataclass(frozen=True, slots=True)
class _Folded:
    """A text as terms are compared with it: case folded, white space evened out; and where each character was."""

    text: str
    places: Sequence[int] | None = None
    """Place of each character, where folding made some longer."""
    cuts: Sequence[int] = ()
    """Ends, in ``text``, of runs of white space made one space, and how much was cut up to there."""
    lost: Sequence[int] = ()

    @staticmethod
    def of(text: str, *, keep_case: bool) -> _Folded:
        if not text.isascii():
            text = _SURROGATE.sub("\ufffd", text)
        places: list[int] | None = None
        folded = text if keep_case else text.lower() if text.isascii() else text.casefold()
        if len(folded) != len(text):  # folding never shortens, so equal lengths mean one to one
            places = [place for place, char in enumerate(text) for _ in char.casefold()]
        if _OTHER_SPACE.search(folded):
            folded = _OTHER_SPACE.sub(" ", folded)
        if "  " not in folded:
            return _Folded(folded, places)
        cuts, lost, total = [], [], 0
        for run in _SPACES.finditer(folded):
            total += run.end() - run.start() - 1
            cuts.append(run.end() - total)
            lost.append(total)
        return _Folded(_SPACES.sub(" ", folded), places, cuts, lost)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where in the text the folded characters ``first:last`` stood."""
        start, end = self._place(first), self._place(last - 1)
        return (start, end + 1) if self.places is None else (self.places[start], self.places[end] + 1)

    def _place(self, at: int) -> int:
        cut = bisect_right(self.cuts, at)
        return at + self.lost[cut - 1] if cut else at


_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u318f\u31a0-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Scripts written without spaces, or (Korean) with endings attached: there every place may begin and end a term."""


def _bounded(text: str, start: int, end: int) -> bool:
    """True when no letter or digit continues the word at either end."""
    return not (_continues(text, start) or _continues(text, end))


def _continues(text: str, place: int) -> bool:
    before, after = text[place - 1 : place] if place else "", text[place : place + 1]
    if not (_wordy(before) and _wordy(after)):
        return False
    return not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _wordy(char: str) -> bool:
    return char.isalnum() or char == "_"


def _widest(found: list[tuple[int, int, int, float]]) -> list[tuple[int, int, int, float]]:
    """Without hits inside other hits; of equal ones the most certain."""
    kept: list[tuple[int, int, int, float]] = []
    for hit in sorted(found, key=lambda hit: (hit[0], -hit[1], -hit[3], hit[2])):
        if not kept or hit[1] > kept[-1][1]:
            kept.append(hit)
    return kept


# --- disguise ---

_LEET = {
    "0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "|": "i", "+": "t", "\u20ac": "e", "\u00a3": "l", "\u00a2": "c", "(": "c",
}  # fmt: skip
_MERGED = {"l": "i", "q": "g"}
"""Letters that share a sign (1 is i or l, 9 is g or q): one in the skeleton, told apart when a hit is checked."""

_GAP = 3
"""Most separators between two letters of a disguised term."""

_STRETCHED = 3
"""From this many a repeated letter counts as stretched."""


_LONGEST_RUN = 64
"""More characters a letter, on average, are no word."""

_SHORTEST = 3
"""Shorter terms would be found everywhere in disguise."""

_LEAST_LEET = 4
"""Shorter words with digits are sizes, models and the like: "a55"."""


@plain_dataclass(frozen=True, slots=True)
class _Run:
    """Equal letters in a row, in a text or a term; ``letters`` is what is written there, case folded, without accents."""

    start: int
    end: int
    letters: str


@plain_dataclass(frozen=True, slots=True)
class _Skeleton:
    """A term as it is looked for in disguise."""

    number: int
    text: str
    runs: tuple[_Run, ...]
    words: int


def _skeleton(term: str, number: int) -> _Skeleton | None:
    letters, span = _runs(term)
    runs = tuple(_run(term, *span(index)) for index in range(len(letters)))
    written = "".join(run.letters for run in runs)
    if len(written) < _SHORTEST or len(runs) < 2 or not written.isalpha():
        return None
    return _Skeleton(number, letters, runs, len(term.split()))


@lru_cache(16_384)
def _letter(char: str) -> tuple[str, str]:
    """What a character stands for in a skeleton, and what it is; empty for separators."""
    if char in _LEET:
        return _LEET[char], char
    if not char.isalnum():
        return "", ""
    plain = unicodedata.normalize("NFD", char.casefold())[0]
    return _MERGED.get(plain, plain), plain


def _stands_for(code: int) -> int:
    return ord(_letter(chr(code))[0] or "\0")


_ASCII = np.array([_stands_for(code) for code in range(128)], np.uint32)


def _runs(text: str) -> tuple[str, Callable[[int], tuple[int, int]]]:
    """The skeleton of a text, a letter for each run of equal ones, and where each run stands."""
    if text.isascii():
        stands = _ASCII[np.frombuffer(text.encode(), np.uint8)]
    else:
        codes, where = np.unique(np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32), return_inverse=True)
        stands = np.array([_stands_for(int(code)) for code in codes], np.uint32)[where]
    places = np.flatnonzero(stands)
    if not len(places):
        return "", lambda index: (index, index)
    letters = stands[places]
    begins = (letters[1:] != letters[:-1]) | (places[1:] - places[:-1] > _GAP + 1)
    first = np.concatenate(([0], np.flatnonzero(begins) + 1))
    last = np.concatenate((first[1:] - 1, [len(places) - 1]))
    skeleton = letters[first].tobytes().decode("utf-32-le")
    return skeleton, lambda index: (int(places[first[index]]), int(places[last[index]]) + 1)


def _run(text: str, start: int, end: int) -> _Run:
    return _Run(start, end, "".join(_letter(char)[1] for char in text[start:end]))


def _spells(text: str, runs: Sequence[_Run], skeleton: _Skeleton) -> bool:
    """True when the runs are the term letter by letter, in a disguise and not by chance."""
    if not all(_fits(run.letters, own.letters) for run, own in zip(runs, skeleton.runs, strict=True)):
        return False
    if any(after.start - before.end > _GAP for before, after in pairwise(runs)):
        return False
    written = "".join(run.letters for run in runs)
    real = sum(map(str.isalpha, written))
    if real * 3 < len(written) or (real < len(written) and len(written) < _LEAST_LEET):
        return False
    words = text[runs[0].start : runs[-1].end].split()
    # Words that happen to stand side by side ("as s...") are no disguise: with spaces, every letter stands alone.
    return len(words) <= skeleton.words or all(len({_letter(char)[0] for char in word} - {""}) <= 1 for word in words)


def _fits(written: str, own: str) -> bool:
    """True when a run of the text can be the term's run: the same letters or signs for them, as many or stretched."""
    if len(written) != len(own) and len(written) < max(len(own), _STRETCHED):
        return False
    return all(not char.isalpha() or char in own for char in written)
