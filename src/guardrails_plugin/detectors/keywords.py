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
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from ahocorasick_rs import AhoCorasick
from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.keywords_disguise import Runs, Skeleton, bounded
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Context, Finding, Origin, Segment, Span, Text

__all__ = ["Keywords"]

_MOST = 50_000
_SCORES = {"exact": 0.99, "disguised": 0.85}


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
    local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self._terms:
            raise ConfigError("keywords: no terms: give terms = [...] or path = a file with one a line")
        if len(self._terms) > _MOST:
            raise ConfigError(f"keywords: {len(self._terms)} terms, at most {_MOST}")
        _ = self._exact, self._disguised  # built now, not at the first text

    @property
    def entity_types(self) -> frozenset[str]:
        """The one type it finds."""
        return frozenset({self.entity_type})

    @property
    def reach(self) -> int:
        """Most characters a hit can have: what a stream has to hold back."""
        return _longest(max(map(len, self._terms))) + 1

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
        return tuple(filter(None, map(_canonical, given)))

    @cached_property
    def _exact(self) -> AhoCorasick:
        phrases = [*self._terms, *filter(None, map(_canonical, self.allow))]
        return AhoCorasick(phrases if self.case_sensitive else [phrase.casefold() for phrase in phrases])

    @cached_property
    def _skeletons(self) -> tuple[Skeleton, ...]:
        if not self.fuzzy or self.case_sensitive:
            return ()
        return tuple(skeleton for number, term in enumerate(self._terms) if (skeleton := Skeleton.of(term, number)))

    @cached_property
    def _disguised(self) -> AhoCorasick:
        return AhoCorasick([skeleton.letters for skeleton in self._skeletons])

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        best: dict[Span, Finding] = {}
        for view in text.views:
            for hit in self._in_view(view.text):
                span = view.span(hit.start, hit.end)
                evidence: dict[str, str | float] = {"term": float(hit.number + 1), "form": hit.form}
                if view.kind != "canonical":
                    evidence["view"] = view.kind
                score = _SCORES[hit.form]
                if span not in best or best[span].score < score:
                    best[span] = Finding(
                        self.name, self.entity_type, score, span.start, span.end, text.segment, evidence
                    )
        return by_place(best.values())

    def _in_view(self, text: str) -> list[_Hit]:
        hits, allowed = self._plain_hits(text)
        if self._skeletons:
            hits += self._disguised_hits(text)
        return [hit for hit in _widest(hits) if not _inside(hit, allowed)] if hits else []

    def _plain_hits(self, text: str) -> tuple[list[_Hit], list[_Hit]]:
        """Exact hits, and the places of allowed phrases."""
        folded = _Folded.of(text, keep_case=self.case_sensitive)
        hits: list[_Hit] = []
        allowed: list[_Hit] = []
        for number, first, last in self._exact.find_matches_as_indexes(folded.text, overlapping=True):
            start, end = folded.span(first, last)
            if (self.whole_words and not bounded(text, start, end)) or end - start > _longest(last - first):
                continue
            (hits if number < len(self._terms) else allowed).append(_Hit(start, end, number, "exact"))
        return hits, _widest(allowed)

    def _disguised_hits(self, text: str) -> Iterator[_Hit]:
        longest = _longest(max(skeleton.length for skeleton in self._skeletons))
        for piece, offset, own, runs in Runs.pieces(text, longest):
            for index, first, last in self._disguised.find_matches_as_indexes(runs.letters, overlapping=True):
                (start, _), (_, end) = runs.span(first), runs.span(last - 1)
                skeleton = self._skeletons[index]
                if start not in own or end - start > _longest(skeleton.length):
                    continue
                if self.whole_words and not bounded(piece, start, end):
                    continue
                if place := skeleton.place(piece, runs, first):
                    yield _Hit(offset + place[0], offset + place[1], skeleton.number, "disguised")


def _longest(size: int) -> int:
    """Most characters a term of that size may be spread over: stretched, or with separators between its letters."""
    return 3 * size + 16


class _Hit(NamedTuple):
    start: int
    end: int
    number: int
    form: str


def _widest(hits: Iterable[_Hit]) -> list[_Hit]:
    """Without hits inside other hits; of equal ones the plainest."""
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.form != "exact", hit.number)):
        if not kept or hit.end > kept[-1].end:
            kept.append(hit)
    return kept


def _inside(hit: _Hit, phrases: Sequence[_Hit]) -> bool:
    """True when one of the phrases (sorted, none inside another) covers the hit."""
    at = bisect_right(phrases, hit.start, key=lambda phrase: phrase.start) - 1
    return at >= 0 and hit.end <= phrases[at].end


def _canonical(term: str) -> str:
    """A term as detectors see texts, spaces evened out."""
    plain = term.isascii() and term.isprintable()
    return " ".join((term if plain else normalize(Segment(term, Origin.SYSTEM)).canonical).split())


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
