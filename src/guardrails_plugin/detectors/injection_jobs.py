"""What the injection classifier reads of a batch of texts, and where in the originals its answers belong.

The strings of one content are read together, because an attack may be spread over its fields; so are the decoded runs
of one kind. Of a view that differs from its parent in some places only those places are read, with their
surroundings. Long texts go through the first tier, which chooses their most suspicious parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import groupby
from string import hexdigits

from guardrails_plugin.detectors.guesses import KINDS, LINKED, guesses
from guardrails_plugin.detectors.injection_pieces import pieces
from guardrails_plugin.detectors.vocabulary import vocabulary
from guardrails_plugin.models.classifier import Document, Reading
from guardrails_plugin.models.first_tier import first_tier, merged
from guardrails_plugin.types import Origin, Span, Text, View

__all__ = ["Job", "Placed", "closer", "guessed", "jobs", "placed"]

_READ_WHOLE = 8_000
"""Bytes of a text that is read whole: about 20 windows of the embedded classifier."""

_EXCERPTS = 16
_EXCERPT_EACH = 2_000
"""Excerpts chosen of a longer text: these, and one for so many characters. A choice between cost and what is read, not
an optimum: what becomes of attacks in long texts, and of long harmless ones, stands in the model card."""

_BESIDE = 160
"""Characters read at either side of a decoded place: what is around tells whether it is an order or a value."""

_LEAST_LETTERS = 4
"""Texts and changes with fewer letters say nothing."""

_LEAST_WORDS = 2
"""Common words that letters with separators must make: lists of initials and options make none."""

_DISGUISES = KINDS - {LINKED} | {"spaced"}
_INLINE = KINDS | {"spaced", "escape"}

_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_LEAST_OF_EACH = 3
"""Capitals, small letters and digits that a run of base64 has."""

_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_WRITTEN = 3.5
"""Mean letters of the pieces of one case in names and paths that are made of words; random base64 has two."""

_KNOWN = 0.3
"""Share of the letters of a run that stand in longer common words, from which it is writing whatever its capitals."""

_LEAST_WORD = 4

_LOUD = 0.3
"""Share of capitals above which letters are read small: cased prose has less than a tenth. Of held-back attacks that
are found in plain, .65 were found in capitals, and .88 read small."""

_DISGUISED = 6.0
"""Odds of an attack in what somebody took pains to disguise, against the same words in plain. A round guess: with it
innocent texts in disguise are flagged about as often as near twins of attacks in plain (model card)."""

_SHORT = 8_000
"""Characters up to which the classifier's probability is taken as it is: in 4 KB, a threshold that rises with the
length lost as many attacks as it saved false alarms."""

_BY_LENGTH = 0.25
"""Power of the length by which the odds fall beyond that: a text counts as its worst window, and of many windows one
is bad by chance. Of independent windows it would be 1; but even the surest attack has odds of about thirty, and with .5
none passed the balanced point at 64 KB."""


_LONG = 1_200
"""Characters of a text that is looked at more closely: of shorter ones the classifier has read most at once."""

_DOUBTED = 0.05
"""Probability from which a window is in doubt: of a 4 KB document's thirteen windows three in a hundred reach it."""

_CLOSER = 1.5
"""By what the odds fall in a part: out of its surroundings an innocent one looks stranger, too. Of 90 held-back
attacks in the middle of 4 KB documents .88 were found with 2, .94 with 1.5 and with 1, while 3, 3 and 4 of the 36
documents alone were flagged."""


_CLOSEST = 8
"""Excerpts of one text that are looked at more closely, the most suspicious first: without a limit a long text full of
doubtful places took three passes more for each that it needs."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a view of the text of that index."""

    index: int
    view: View
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.view.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Job:
    """One document for the classifier: an excerpt of parts joined by line breaks."""

    parts: Sequence[_Part]
    document: Document
    offset: int = 0
    """Where the excerpt begins in the joined parts."""
    odds: float = 1.0
    """How much likelier an attack is in such a text than in a short plain one, whatever its words."""
    long: bool = False
    """Whether it is of a long text."""

    def probability(self, reading: Reading) -> float:
        """The reading's probability under these odds."""
        return self.odds * reading.probability / (1 + (self.odds - 1) * reading.probability)


@dataclass(frozen=True, slots=True)
class Placed:
    """A probability, the characters of the original it is about, the kind of attack, and the view it was read in."""

    probability: float
    start: int
    end: int
    kind: str
    view: str


def guessed(texts: Sequence[Text], members: Iterable[int]) -> dict[int, tuple[View, ...]]:
    """Further views of the texts with these indices, where there are any."""
    found = ((i, tuple(guess for view in texts[i].views for guess in guesses(view))) for i in members)
    return {index: views for index, views in found if views}


def jobs(texts: Sequence[Text], members: Sequence[int], further: Mapping[int, Sequence[View]]) -> Iterator[Job]:
    """What is to be read.

    Args:
        texts: the whole batch.
        members: indices of the texts that need reading.
        further: guessed views by index.
    """
    wanted = frozenset(members)
    for group in _contents(texts):
        for origin in Origin:
            own = [i for i in group if i in wanted and texts[i].origin is origin]
            yield from _jobs([_Part(i, view, 0, len(view.text)) for i in own for view in texts[i].views[:1]], origin)
            decoded: dict[str, list[_Part]] = {}
            for i in own:
                for view in (*texts[i].views[1:], *further.get(i, ())):
                    decoded.setdefault(view.kind, []).extend(_changed(i, view))
            for kind, parts in decoded.items():
                yield from _jobs(parts, origin, _DISGUISED if kind in _DISGUISES else 1.0)


def _contents(texts: Sequence[Text]) -> Iterator[list[int]]:
    """Indices of the texts of one content: segment numbers rise within it."""
    group: list[int] = []
    for index, text in enumerate(texts):
        if group and text.segment <= texts[group[-1]].segment:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _jobs(parts: Sequence[_Part], origin: Origin, odds: float = 1.0) -> Iterator[Job]:
    worded = [part for part in parts if _letters(part.text) >= _LEAST_LETTERS]
    if not worded:
        return
    text = "\n".join(part.text for part in worded)
    odds /= max(1.0, len(text) / _SHORT) ** _BY_LENGTH
    for span in _read(text):
        document = Document(_legible(text[span.start : span.end]), origin)
        yield Job(worded, document, span.start, odds, len(text) > _LONG)


def closer(read: Sequence[Job], readings: Sequence[Reading]) -> Iterator[Job]:
    """What to read again: parts of the worst windows of long texts, where these are in doubt."""
    # The excerpts of one text have their parts in common.
    for _, group in groupby(zip(read, readings, strict=True), key=lambda pair: id(pair[0].parts)):
        doubted = [pair for pair in group if pair[0].long and pair[1].probability >= _DOUBTED]
        for job, reading in nlargest(_CLOSEST, doubted, key=_suspicion):
            for part in pieces(job.document.text, Span(reading.start, reading.end)):
                document = replace(job.document, text=job.document.text[part.start : part.end])
                yield Job(job.parts, document, job.offset + part.start, job.odds / _CLOSER)


def _suspicion(pair: tuple[Job, Reading]) -> float:
    return pair[1].probability


def _legible(text: str) -> str:
    """The text as it is read, character for character: without what is no writing, and not in capitals.

    What base64 or hex says is read decoded; as it stands it tells nothing, yet looks strange to the classifier.
    """
    blank = _BLOB.sub(lambda run: " " * len(run.group()) if _encoded(run.group()) else run.group(), text)
    loud = sum(map(str.isupper, blank)) > _LOUD * sum(map(str.isalpha, blank))
    return "".join(map(_small, blank)) if loud else blank


def _small(char: str) -> str:
    """The small letter, if it is one character: places stay what they are."""
    small = char.lower()
    return small if len(small) == 1 else char


def _encoded(run: str) -> bool:
    if all(char in hexdigits for char in run):
        return True
    kinds = (str.isupper, str.islower, str.isdigit)
    return all(sum(map(kind, run)) >= _LEAST_OF_EACH for kind in kinds) and not _written(run)


def _written(run: str) -> bool:
    """Whether words make up a run without spaces: an attack joined by hyphens is no base64."""
    pieces = _PIECE.findall(run)
    letters = sum(map(len, pieces))
    common = vocabulary().costs
    known = [word for word in re.findall(r"[a-z]+", run.lower()) if len(word) >= _LEAST_WORD and word in common]
    return letters >= _WRITTEN * len(pieces) or sum(map(len, known)) >= _KNOWN * letters


def _read(text: str) -> list[Span]:
    if len(text) * 4 <= _READ_WHOLE or len(text.encode("utf-8", "surrogatepass")) <= _READ_WHOLE:
        return [Span(0, len(text))]
    return first_tier().excerpts(text, _EXCERPTS + len(text) // _EXCERPT_EACH)


def _letters(text: str) -> int:
    """Letters of a text, counted up to the number that matters."""
    letters = 0
    for char in text:
        letters += char.isalpha()
        if letters >= _LEAST_LETTERS:
            break
    return letters


def _changed(index: int, view: View) -> Iterator[_Part]:
    """What to read of a decoded view: all of a message of its own, else the places that were decoded."""
    if view.kind not in _INLINE:
        yield _Part(index, view, 0, len(view.text))
        return
    ends = [piece.at for piece in view.pieces[1:]] + [len(view.text)]
    places = [Span(piece.at, end) for piece, end in zip(view.pieces, ends, strict=True) if not piece.linear]
    said = "".join(view.text[place.start : place.end] for place in places)
    if _letters(said) < _LEAST_LETTERS or (view.kind == "spaced" and not _made_of_words(said)):
        return
    around = [Span(max(0, place.start - _BESIDE), min(len(view.text), place.end + _BESIDE)) for place in places]
    yield from (_Part(index, view, span.start, span.end) for span in merged(around))


def _made_of_words(said: str) -> bool:
    if not said.isascii():
        return True
    common = vocabulary().costs
    return sum(len(word) > 2 and word in common for word in said.lower().split()) >= _LEAST_WORDS


def placed(jobs_: Sequence[Job], readings: Sequence[Reading]) -> dict[int, Placed]:
    """The worst reading of each text, by index, at its place in the original."""
    worst: dict[int, Placed] = {}
    for job, reading in zip(jobs_, readings, strict=True):
        for index, own in _places(job, reading):
            if index not in worst or worst[index].probability < own.probability:
                worst[index] = own
    return worst


def _places(job: Job, reading: Reading) -> Iterator[tuple[int, Placed]]:
    """The reading's window in every text that it covers a part of."""
    at = -job.offset
    for part in job.parts:
        size = part.end - part.start
        start, end = max(reading.start - at, 0), min(reading.end - at, size)
        if start < end:
            span = part.view.span(part.start + start, part.start + end)
            yield part.index, Placed(job.probability(reading), span.start, span.end, reading.kind, part.view.kind)
        at += size + 1
