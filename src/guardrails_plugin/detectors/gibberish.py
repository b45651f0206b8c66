"""Finds key smashes, random letters, words thrown together, garbled text and endlessly repeated junk.

How, each kind in bits of evidence:

- Letters: each word's letters are weighed by trigrams of twenty languages against random keys (`letter_model`): a word
  of a language is some bits down, random letters are some bits up. The stretch of words with the largest sum (Kadane,
  1984) is the candidate, if its letters weigh `_DENSITY` bits each: names and languages that were not counted weigh
  .4 to 1.4, keyboards and random letters 2 and more.
- Order: the same for pairs of English words that people do not put in a row (`word_order`).
- Garbled: look-alike signs in words, wrong encodings, walks over the keyboard, signs only (`garbled`).
- Taken apart: shuffled letters, pieces, tokens, filler text, invented words (`scrambled`).
- Scripts: letters drawn at random from scripts without trigrams, or from many (`odd_scripts`).
- Repetition: short units over and over (``asdfasdf...``), or words said again and again, and
  phrases; laughter excepted.
- Sense: a head of the encoder that also judges prompt injection is asked beside all these (`label_heads`): it has
  learnt texts beside what is left of them when they are taken apart (`training.scrambles`), in many languages.

A stretch counts when it holds most of the text's letters, or very many: one odd name or code word in a text is no
gibberish. Not looked at by letters: code, addresses, identifiers, anything with digits, words under four letters,
abbreviations in capitals.

Scripts: Latin, Cyrillic, Greek, Hebrew, Arabic by trigrams; Korean by letters that form no syllables; Chinese, Japanese
and Korean by letters that are hardly ever written, Indic scripts and Thai by misplaced marks; others by repetition.

Measured: 7 of 3,572 texts that nobody meant to scramble (requests, e-mails, documents, many languages) are taken
for gibberish, all of them by order; it was mended by what these texts had shown, so others may fare worse. Of 48 texts
that its author wrote when it was done .75 of 24 were found, none of 24 near misses. On a third blind set .35 of 40 are
found without the head with .03 false alarms, .40 with it with .05; the head alone flags none of 1,000 requests and
harmless texts.
Source: letter and word models made by ``training``; the parts name theirs (`letter_model`, `word_order`, `garbled`).
Limits: syllables that could be words ("lorat mipesto") mostly pass, since names, drugs and verse have them, too; the
head hears a window of a text, so it is not asked about long ones; verse that breaks all order is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from math import exp
from operator import eq
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.garbled import garbled
from guardrails_plugin.detectors.label_heads import LabelHeads, beside
from guardrails_plugin.detectors.letter_model import load_model
from guardrails_plugin.detectors.odd_scripts import odd_letters
from guardrails_plugin.detectors.prose import prose
from guardrails_plugin.detectors.scrambled import scrambled
from guardrails_plugin.detectors.scripts import script_of
from guardrails_plugin.detectors.word_order import load_word_order
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Gibberish"]

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 4
_LONGEST_CAPITALS = 6
"""Longer words in capitals are shouting, shorter ones may be abbreviations."""

_REPEATED = re.compile(r"([^\W_]{1,6}?)\1{5,}|([^\W_]{2,6}?)(?:[ ,.!]{1,2}\2){7,}")
_LAUGHTER = frozenset(
    "a e h i o u m n w ha he hi ho hu ah eh ja je ji jo aj ej xa xe ax ex lo ol la na no ya yay ve ng "
    "аха ха ах хе хи ыы а о у е э ㅋ ㅎ ㅠ ㅜ 哈 呵 嘿 笑 草 ー ー啊 は ふ へ あ い う え お ん っ ه هه ה חה х".split()
)
_STRETCHED = re.compile(r"(..?)\1{2,}")
_HOLD = re.compile(r"([^\W\d_])\1{2,}")
_LEAST_REPEATED = 18

_DENSITY = 1.4
"""Bits a letter: near misses with bits enough (long names, Welsh) had .7 to 1.4, the thinnest key smash 2.0."""

_DISORDER = 14.0
"""Bits that order is given ahead, so that 10 of its own make a finding: of real English of thirty words and signs 2
in 1,000 reach them, of shuffled ones 7 to 8 in 10."""

_LOOPED, _ROUNDS, _LONGEST_LOOP, _ALIKE = 12, 5, 10, 0.9
"""Words and rounds from which a text of one phrase is junk, words of a phrase, and how many have to be the same."""

_SEQUENCE = re.compile(r"[ACGTUN]{12,}|[ACDEFGHIKLMNPQRSTVWY]{15,}")
"""Of bases and amino acids."""

_SURE = 0.5
"""From here a stretch is gibberish, and the classifier need not be asked."""

_WINDOW = 800
"""Characters that the classifier hears at once, at most: 124 tokens, of words of a language five or six each."""

_SEQUENCED = 12
_SAID_AGAIN = 12
"""Words under which saying some of them again is emphasis."""


@dataclass(frozen=True, config=SETTINGS)
class Gibberish:
    """Text that nobody wrote to be read.

    Attributes:
        bits: evidence, in bits, at which a stretch is as likely gibberish as not.
        share: least share of a text's letters, unless there are ``letters`` of them.
        letters: from this many letters on a stretch counts in a text of any length.
        classifier: False goes by letters, order and signs alone: cheap, and takes well-built nonsense for sense.
        point: operating point from which the classifier's word counts (`label_heads.HeadedPatterns`).
        model: folder of an encoder with the label; the embedded one by default.
    """

    bits: Annotated[float, Field(gt=0)] = 24.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    letters: Annotated[int, Field(ge=4)] = 60
    classifier: bool = True
    point: Literal["strict", "balanced", "permissive"] = "balanced"
    model: Path | None = None

    name: ClassVar[str] = "gibberish"
    entity_types: ClassVar[frozenset[str]] = frozenset({"GIBBERISH"})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        found = [self._findings(text) for text in texts]
        if not self.classifier:
            return found
        unsure = [number for number, own in enumerate(found) if self._asks(texts[number], own)]
        read = self._heads.findings([texts[number] for number in unsure])
        for number, heard in zip(unsure, read, strict=True):
            found[number] = beside(found[number], [one for one in heard if self._is_most(one, texts[number])])
        return found

    @cached_property
    def _heads(self) -> LabelHeads:
        return LabelHeads(self.name, {"gibberish": "GIBBERISH"}, self.model, self.point)

    def _asks(self, text: Text, found: Sequence[Finding]) -> bool:
        """Whether the classifier can change anything: nothing is sure, and one window may be most of the text."""
        short = self.share * len(text.original) <= _WINDOW
        return short and not any(finding.score >= _SURE for finding in found)

    def _is_most(self, finding: Finding, text: Text) -> bool:
        """Whether the window is most of its text: in long ones, tables and lists of names make no sense either."""
        return finding.end - finding.start >= self.share * len(text.original.strip())

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        view = text.views[0]
        kept = prose(view.text)
        words = list(_WORD.finditer(kept))
        total = sum(word.end() - word.start() for word in words)
        found: list[Finding] = []
        stretches = (
            *_repetitions(kept),
            *_said_again(words),
            *_loop(words),
            *_heaviest(words),
            *_disorder(kept, self.share * total),
            *_garbled(view.text),
            *_odd(view.text),
            *_taken_apart(words, view.text),
        )
        for stretch in stretches:
            if stretch.letters < min(max(self.share * total, _SHORTEST), self.letters):
                continue
            span = view.span(stretch.start, stretch.end)
            score = round(1 / (1 + exp((self.bits - stretch.bits) / 6)), 4)
            if score >= 0.05 and not any(f.start <= span.start and span.end <= f.end for f in found):
                evidence: dict[str, str | float] = {"kind": stretch.kind, "bits": round(stretch.bits, 1)}
                found.append(Finding(self.name, "GIBBERISH", score, span.start, span.end, text.segment, evidence))
        return by_place(found)


class _Stretch(NamedTuple):
    start: int
    end: int
    letters: int
    bits: float
    kind: str


def _repetitions(text: str) -> Iterator[_Stretch]:
    for found in _REPEATED.finditer(text):
        unit = (found[1] or found[2]).lower()
        size = found.end() - found.start()
        laughter = unit in _LAUGHTER or (found[2] is not None and _bits(unit) < 0)  # or a word, said over and over
        if size >= _LEAST_REPEATED and not (unit.isdigit() or laughter):
            yield _Stretch(found.start(), found.end(), size, 20.0 + size, "repetition")


def _heaviest(words: Sequence[re.Match[str]]) -> Iterator[_Stretch]:
    """The stretch of words whose bits sum up to the most (Kadane)."""
    best: _Stretch | None = None
    start, letters, total = 0, 0, 0.0
    for word in words:
        if total <= 0:
            start, letters, total = word.start(), 0, 0.0
        total += _bits(word.group())
        letters += word.end() - word.start()
        if total > 0 and (best is None or total > best.bits):
            best = _Stretch(start, word.end(), letters, total, "letters")
    if best is not None and best.bits >= _DENSITY * best.letters:
        yield best


def _said_again(words: Sequence[re.Match[str]]) -> Iterator[_Stretch]:
    """A text of words of which most are those before them; one word alone may be meant, three are junk."""
    read = [word.group().lower() for word in words]
    again = [one for one, other in pairwise(read) if one == other and one not in _LAUGHTER]
    if len(read) >= _SAID_AGAIN and 2 * len(again) > len(read) - 2 and len(set(again)) > 2:
        letters = sum(map(len, read))
        yield _Stretch(words[0].start(), words[-1].end(), letters, 20.0 + letters, "repetition")


def _loop(words: Sequence[re.Match[str]]) -> Iterator[_Stretch]:
    """A text of one phrase, over and over."""
    if len(words) < _LOOPED:
        return
    read = [word.group().lower() for word in words]
    kinds = set(read)
    if _ROUNDS * len(kinds) > len(read) or len(kinds) < 2 or kinds <= _LAUGHTER:
        return
    for period in range(2, min(_LONGEST_LOOP, len(read) // _ROUNDS) + 1):
        again = sum(map(eq, read, read[period:]))
        if again >= _ALIKE * (len(read) - period):
            letters = sum(map(len, read))
            yield _Stretch(words[0].start(), words[-1].end(), letters, 20.0 + letters, "repetition")
            return


def _odd(text: str) -> Iterator[_Stretch]:
    bits, letters = odd_letters(text)
    if bits > 0:
        yield _whole(text, letters, bits, "scripts")


def _taken_apart(words: Sequence[re.Match[str]], text: str) -> Iterator[_Stretch]:
    found = scrambled([word.group() for word in words], text)
    if found is not None:
        yield _whole(text, len(text), found[1], found[0])


def _whole(text: str, letters: int, bits: float, kind: str) -> _Stretch:
    return _Stretch(len(text) - len(text.lstrip()), len(text.rstrip()), letters, bits, kind)


def _disorder(text: str, least: float) -> Iterator[_Stretch]:
    """Where it is most of the text: in long ones, headings, tables and lists are in no order either."""
    found = load_word_order().disorder(text)
    if found is not None and found.letters >= least:
        yield _Stretch(found.start, found.end, found.letters, found.bits + _DISORDER, "order")


def _garbled(text: str) -> Iterator[_Stretch]:
    found = garbled(text)
    if found is not None:
        yield _whole(text, len(text), found.bits, found.kind)


def _bits(word: str) -> float:
    """How much speaks for random keys."""
    if len(word) >= _SEQUENCED and _SEQUENCE.fullmatch(word):
        return 0.0
    word = _HOLD.sub(r"\1", _STRETCHED.sub(_settled, word))
    script = script_of(word[0])
    if script == "hangul":
        return _loose_jamo(word)
    model = load_model().get(script)
    if model is None:
        return -8.0 if script else 0.0
    if len(word) < _SHORTEST:
        return min(0.0, model.surplus(word))
    if word.isupper() and len(word) <= _LONGEST_CAPITALS:
        return 0.0
    return model.surplus(word)


def _settled(stretched: re.Match[str]) -> str:
    """Laughter and lengthened vowels once."""
    unit = "".join(dict.fromkeys(stretched[1].lower()))
    return unit if unit in _LAUGHTER else stretched[0]


def _loose_jamo(word: str) -> float:
    """Korean keys hit at random leave letters outside syllables; two kinds of them alone are laughter and tears."""
    loose = [char for char in word if "\u3131" <= char <= "\u318e"]
    return 4.0 * len(loose) - 8.0 if len(set(loose)) > 2 and 2 * len(loose) > len(word) else -8.0
