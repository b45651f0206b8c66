"""Every pattern of a recipe in ONE pass: gate, confirm, validate.

1. gate: hyperscan runs the short gates of all patterns over the bytes at once (`gate.py` makes them);
2. confirm: the pattern itself, compiled by google-re2 (linear time), searches where its gate hit;
3. validate: the detector's `confirm` checks checksum, entropy, context, allow-lists.

Without hyperscan, Aho-Corasick over each pattern's required literal decides which patterns search the whole text;
the findings are the same, a property test holds it.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import re2

from guardrails_plugin.columns import Columns
from guardrails_plugin.emphasis import open_mark, unmarked
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.file_names import labelled
from guardrails_plugin.gate import Gate, Shape, derive, shape
from guardrails_plugin.scanner import AhoCorasickScanner, HyperscanScanner, Scanner
from guardrails_plugin.types import Finding, Text, View

__all__ = ["CONTEXT_CHARS", "Match", "Matcher", "Pattern", "compile_pattern"]

CONTEXT_CHARS = 64
"""How far, in code points, a context word may stand from the match it speaks for."""


@dataclass(frozen=True)
class Pattern:
    """One row of a pattern table.

    Attributes:
        id: unique within its detector.
        regex: re2 syntax. Group ``value``, where there is one, is what is found; else the whole match.
        entity_type: what a match is.
        score: probability that a confirmed match is real, without context words.
        context: words near a match that raise it to ``context_score``; ``score`` 0 makes them necessary.
        validator: name of a check that the value must pass.
        entropy: least Shannon entropy of the value, bits per character.
        gate: written by hand where the pattern's own beginning says too little (an e-mail's "@").
        reach: with ``gate``: most bytes from a match's start to the gate's end.
        foreign: written by a user: searched everywhere, nothing is derived from its syntax but its width.
        unmarked: reads the text without emphasis marks (`emphasis.unmarked`) and joints of file names (`file_names`).
        extra: what a detector keeps in its rows beyond these fields.
    """

    id: str
    regex: str
    entity_type: str
    score: float = 0.9
    context: tuple[str, ...] = ()
    context_score: float = 0.9
    validator: str = ""
    entropy: float = 0.0
    ignore_case: bool = False
    gate: str = ""
    reach: int = 0
    foreign: bool = False
    unmarked: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def compiled(self) -> Any:
        """The pattern over UTF-8 bytes."""
        return compile_pattern(self.regex, ignore_case=self.ignore_case, where=self.id)

    @cached_property
    def value_group(self) -> int:
        """Number of the group that is the value; 0, the whole match, when none is called so."""
        return int(self.compiled.groupindex.get(b"value", 0))

    @cached_property
    def gating(self) -> Gate | None:
        """Where a match may begin; None: anywhere."""
        if self.gate:
            return Gate(self.gate, self.reach)
        return None if self.foreign else derive(self.regex)

    @cached_property
    def shape(self) -> Shape:
        """What the pattern's syntax tells about its matches."""
        return shape(self.regex)

    @cached_property
    def width(self) -> int | None:
        """Most bytes a match can have (a code point has up to four); None: no bound."""
        return None if self.shape.width is None else 4 * self.shape.width


def compile_pattern(regex: str, *, ignore_case: bool = False, where: str = "pattern") -> Any:
    """A google-re2 pattern over UTF-8 bytes: linear time on every input.

    Raises:
        ConfigError: re2 does not support the pattern (look-around, back-references, huge repeats).
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(regex.encode(), options)
    except re2.error as error:
        detail = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        hint = "look-around, back-references and repeats over 1000 are not supported, so that no input can stall it"
        raise ConfigError(f"{where}: regular expression refused by re2: {detail} ({hint})") from None


@dataclass(frozen=True, slots=True)
class Match:
    """A raw match: which pattern, in which reading of which text. Lives only while a detector confirms it."""

    pattern: Pattern
    text: Text
    view: View
    start: int
    end: int
    """The value, in code points of the view."""
    columns: Columns = field(default=Columns(""), repr=False, compare=False)
    """The tables of the view."""

    @property
    def value(self) -> str:
        """What matched."""
        return self.view.text[self.start : self.end]

    @property
    def around(self) -> str:
        """Lower-case surroundings (`CONTEXT_CHARS` either side) and the names of the enclosing fields."""
        before = self.view.text[max(0, self.start - CONTEXT_CHARS) : self.start]
        after = self.view.text[self.end : self.end + CONTEXT_CHARS]
        return f"{self.text.hint} {before} \n {after}".lower()

    def finding(
        self, detector: str, *, score: float, entity_type: str = "", evidence: Mapping[str, str | float] | None = None
    ) -> Finding:
        """The finding for this match, at its place in the original."""
        span = self.view.span(self.start, self.end)
        facts: dict[str, str | float] = {"rule": self.pattern.id}
        if self.view.kind != "canonical":
            facts["view"] = self.view.kind
        if evidence:
            facts |= evidence
        kind = entity_type or self.pattern.entity_type
        return Finding(detector, kind, score, span.start, span.end, self.text.segment, facts)


_LABEL = re.compile(r"<([A-Z][A-Z0-9_]{2,60}?)(?:_[0-9]{1,9}|#[0-9a-f]{16})?>")
_BLANK = "\0"


class Matcher:
    """The compiled pattern tables of several detectors.

    Args:
        tables: patterns by detector name.
        use_hyperscan: False takes the Aho-Corasick path; None takes hyperscan when it is installed.
    """

    def __init__(self, tables: Mapping[str, Sequence[Pattern]], *, use_hyperscan: bool | None = None) -> None:
        self._rows = [(name, pattern) for name, patterns in tables.items() for pattern in patterns]
        self._used = frozenset(range(len(self._rows)))
        gated = [
            (number, pattern.gating, pattern.ignore_case, pattern.shape.literal)
            for number, (_, pattern) in enumerate(self._rows)
            if pattern.gating is not None
        ]
        ungated = [number for number, (_, pattern) in enumerate(self._rows) if pattern.gating is None]
        self._scanner: Scanner = _pick(use_hyperscan=use_hyperscan)(gated, ungated)

    def narrowed(self, names: Container[str], *, alone: bool = False) -> Matcher:
        """A matcher of these detectors' patterns, on the same compiled database.

        Args:
            names: of the detectors.
            alone: True gives what `Matcher` would make of their tables; False keeps what this one takes for labels.
        """
        narrow = object.__new__(Matcher)
        narrow._rows, narrow._scanner = self._rows, self._scanner
        narrow._used = frozenset(number for number, (name, _) in enumerate(self._rows) if name in names)
        narrow._types = _types(narrow._patterns) if alone else self._types
        return narrow

    @property
    def _patterns(self) -> Iterator[Pattern]:
        return (self._rows[number][1] for number in self._used)

    @cached_property
    def bounded(self) -> bool:
        """False when some pattern can match any length from anywhere: then only the whole text tells."""
        return all(pattern.gating is not None or pattern.width is not None for pattern in self._patterns)

    @cached_property
    def reach(self) -> int:
        """Most bytes from the start of a match to where its gate, or without one its end, shows that there is one."""
        return max(map(_reach, self._patterns), default=0)

    @cached_property
    def _spacey_reach(self) -> int:
        """`reach` of the patterns that may match across white space."""
        return max((_reach(pattern) for pattern in self._patterns if not pattern.shape.spaceless), default=0)

    def match(self, text: Text) -> dict[str, list[Match]]:
        """Raw matches in every view of a text, by detector; each pattern's matches leftmost and without overlap."""
        found: dict[str, list[Match]] = defaultdict(list)
        for view, rows in itertools.chain.from_iterable(map(self._readings, map(self._unlabelled, text.views))):
            data = view.text.encode()
            hits = self._scanner.hits(data)
            if not hits:
                continue
            place, columns = _code_points(data, view.text), Columns(view.text)
            for index, ends in hits.items():
                if index not in rows:
                    continue
                name, pattern = self._rows[index]
                for start, end in _search(pattern, data, ends):
                    own = [(place(start), place(end))]
                    spans = columns.below(own[0][0]) if pattern.extra.get("column") else own
                    found[name] += (Match(pattern, text, view, first, last, columns) for first, last in spans)
        return found

    def _readings(self, view: View) -> list[tuple[View, frozenset[int]]]:
        """The view, and the view without marks where it has some, each with the patterns that read it."""
        plain = labelled(unmarked(view.text)) if self._reading_plain else view.text
        if plain == view.text:
            return [(view, self._used)]
        readings = [(replace(view, text=plain), self._reading_plain), (view, self._used - self._reading_plain)]
        return [reading for reading in readings if reading[1]]

    @cached_property
    def _reading_plain(self) -> frozenset[int]:
        return frozenset(number for number in self._used if self._rows[number][1].unmarked)

    def _unlabelled(self, view: View) -> View:
        """The view without the labels that replacing left (``<US_SSN>``): they are neither findings nor context."""
        if "<" not in view.text:
            return view
        text = _LABEL.sub(lambda label: _BLANK * len(label[0]) if label[1] in self._types else label[0], view.text)
        return view if text == view.text else replace(view, text=text)

    @cached_property
    def _types(self) -> frozenset[str]:
        return _types(self._patterns)

    def live_from(self, text: Text) -> int:
        """First character of the original at which a match may begin that more text could make or change."""
        size = len(text.original)
        return min((self._live_in(view) for view in text.views if _continues(view)), default=size)

    def _live_in(self, view: View) -> int:
        return min(self._live_reading(*reading) for reading in self._readings(view))

    def _live_reading(self, view: View, rows: frozenset[int]) -> int:
        data = view.text.encode()
        word = max(data.rfind(space) for space in (b" ", b"\n", b"\t", b"\r")) + 1
        live = max(0, min(len(data) - self._spacey_reach, max(len(data) - self.reach, word)))
        for index, ends in self._scanner.hits(data).items():
            if index in rows:
                live = min(live, _live_match(self._rows[index][1], data, ends, word))
        at = _code_points(data, view.text)(live)
        if not rows.isdisjoint(self._reading_plain):
            at = min(at, open_mark(view.text))
        return view.span(at, at + 1).start


def _types(patterns: Iterable[Pattern]) -> frozenset[str]:
    return frozenset(pattern.entity_type for pattern in patterns)


def _reach(pattern: Pattern) -> int:
    return pattern.gating.reach if pattern.gating else pattern.width or 0


_CLOSING = 128
"""Bytes after a match without bound in which its closing part may still be arriving."""


def _live_match(pattern: Pattern, data: bytes, ends: Sequence[int] | None, word: int) -> int:
    """Where the first match of a pattern that is not complete yet may begin; the data's length when there is none.

    Args:
        pattern: one whose gate was hit.
        data: what has arrived.
        ends: of the gate's hits.
        word: where the last word begins, the only one that a match without white space can be in.
    """
    if pattern.gating is None:
        return max(0, len(data) - (pattern.width or len(data)))
    if pattern.shape.spaceless:
        return max(word, ends[0] - pattern.gating.reach) if ends and ends[-1] > word else len(data)
    if pattern.width is None:
        return min((s for s, e in _everywhere(pattern, data, 0) if e + _CLOSING > len(data)), default=len(data))
    first = len(data)
    width = pattern.width // 4 if data.isascii() else pattern.width
    for end in reversed(ends or ()):
        if end + width < len(data):
            break
        first = max(0, end - pattern.gating.reach)
    return first


def _continues(view: View | None) -> bool:
    """True for views that grow with the text; decoded runs are complete."""
    return view is None or (view.kind not in ("base64", "hex", "hidden") and _continues(view.parent))


def _pick(*, use_hyperscan: bool | None) -> Callable[..., Scanner]:
    if use_hyperscan is False or (use_hyperscan is None and not HyperscanScanner.available()):
        return AhoCorasickScanner
    return HyperscanScanner


def _search(pattern: Pattern, data: bytes, ends: Sequence[int] | None) -> Iterator[tuple[int, int]]:
    """Spans of the pattern's value; ``ends`` are the ends of its gate's hits, None when it must search everywhere."""
    if ends is None or pattern.gating is None or pattern.width is None:
        first = max(0, ends[0] - pattern.gating.reach) if ends and pattern.gating else 0
        yield from _everywhere(pattern, data, first)
        return
    cursor, reach, width = 0, pattern.gating.reach, pattern.width
    for end in ends:
        cursor = max(cursor, end - reach)
        # A match that begins behind this hit may be cut short by the window; it has a hit, and a window, of its own.
        while cursor <= end:
            match = pattern.compiled.search(data, cursor, min(len(data), end + width))
            if match is None or match.start() > end:
                cursor = end + 1
                break
            yield _value(pattern, match)
            cursor = max(match.end(), match.start() + 1)


def _everywhere(pattern: Pattern, data: bytes, first: int) -> Iterator[tuple[int, int]]:
    while first <= len(data) and (match := pattern.compiled.search(data, first)):
        yield _value(pattern, match)
        first = max(match.end(), match.start() + 1)


def _value(pattern: Pattern, match: Any) -> tuple[int, int]:
    span: tuple[int, int] = match.span(pattern.value_group)
    return span if span[0] >= 0 else match.span()


def _code_points(data: bytes, text: str) -> Callable[[int], int]:
    """From a byte offset to a code point."""
    if len(data) == len(text):
        return int
    # Deferred: a third of the package's import time, and only needed for text beyond ASCII.
    import numpy as np

    starts = np.cumsum((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
    return lambda offset: int(starts[offset - 1]) if offset else 0
