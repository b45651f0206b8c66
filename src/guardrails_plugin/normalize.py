"""A segment as a reader, and a language model, would understand it: canonical form and decoded views.

Attackers split words with zero-width characters, swap in look-alike letters, or hide whole instructions in
Unicode tags, variation selectors, base64, hex or escapes. Detectors read the views made here; every view maps
back to the original characters, so that whatever is found is replaced where it really stands.

Plain ASCII without anything that looks encoded (nearly all traffic) costs one pass of a linear-time gate.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from guardrails_plugin.decoding import GATE, INLINE, SEPARATORS, WHOLE, Run
from guardrails_plugin.types import Piece, Segment, Text, View
from guardrails_plugin.unicode_tables import (
    CONFUSABLES,
    DROPPED,
    FOLDED,
    decode_smuggled,
)

__all__ = ["DECODE_DEPTH", "normalize", "open_run", "patched"]

DECODE_DEPTH = 2
"""How often a decoded text is decoded again (base64 in percent escapes in base64 ...)."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORD = re.compile(r"[^\W\d_]+")


def normalize(segment: Segment, index: int = 0) -> Text:
    """The segment with its canonical form and every decoded view.

    Args:
        segment: any string, lone surrogates and control characters included.
        index: number of the segment in its content.

    Returns:
        A `Text` whose ``views[0]`` is canonical. Never fails.
    """
    canonical = _canonical(segment.text)
    views = [canonical, *_hidden(segment.text), *_decoded(canonical, DECODE_DEPTH)]
    return Text(segment.text, tuple(views), segment.origin, index, segment.hint, segment.part)


def _canonical(text: str) -> View:
    if text.isascii():
        return View(text, "canonical") if "\x1b" not in text else _without(text, _ANSI)
    present = set(text)
    folds = {char: FOLDED[char] for char in present & FOLDED.keys()}
    text = _SURROGATE.sub("\ufffd", text) if present & _SURROGATES else text
    for char, plain in folds.items():
        if len(plain) == 1:
            text = text.replace(char, plain)
    if present & CONFUSABLES.keys():
        text = _WORD.sub(_unmixed, text)
    longer = {char: plain for char, plain in folds.items() if len(plain) > 1}
    dropped = "".join(map(re.escape, (present & DROPPED) | longer.keys()))
    if not dropped and "\x1b" not in text:
        return View(text, "canonical")
    pattern = re.compile(f"{_ANSI.pattern}|[{dropped}]" if dropped else _ANSI.pattern)
    return _without(text, pattern, longer)


_SURROGATES = frozenset(map(chr, range(0xD800, 0xE000)))


def _unmixed(match: re.Match[str]) -> str:
    """A word mixing Latin with look-alikes, in Latin; a word of one script as it is (else Russian is destroyed)."""
    word = match.group()
    if word.isascii() or not any(char.isascii() for char in word):
        return word
    return "".join(CONFUSABLES.get(char, char) for char in word)


def _without(text: str, pattern: re.Pattern[str], replaced: dict[str, str] | None = None) -> View:
    runs = ((m.start(), m.end(), (replaced or {}).get(m.group(), "")) for m in pattern.finditer(text))
    return patched(View(text, "original"), runs, "canonical")


def patched(parent: View, runs: Iterable[Run], kind: str) -> View:
    """The parent with every run (sorted, disjoint) replaced by its text; every character keeps its origin."""
    parts: list[str] = []
    pieces: list[Piece] = []
    at = last = 0

    def add(text: str, start: int, end: int, *, linear: bool) -> None:
        nonlocal at
        if text:
            pieces.append(Piece(at, start, end, linear))
            parts.append(text)
            at += len(text)

    for start, end, text in runs:
        add(parent.text[last:start], last, start, linear=True)
        add(text, start, end, linear=False)
        last = end
    add(parent.text[last:], last, len(parent.text), linear=True)
    return View("".join(parts), kind, tuple(pieces), _known(parent))


def _alone(parent: View, runs: Iterable[Run], kind: str) -> list[View]:
    """Every run as a view of its own, so that no pattern matches across two of them."""
    return [View(text, kind, (Piece(0, start, end, linear=False),), _known(parent)) for start, end, text in runs]


def _known(parent: View) -> View | None:
    return None if parent.kind == "original" else parent


def _hidden(text: str) -> list[View]:
    """What is smuggled in Unicode tags and variation selectors, which no reader sees but models read."""
    return [] if text.isascii() else _alone(View(text, "original"), decode_smuggled(text), "hidden")


def _decoded(view: View, depth: int) -> list[View]:
    if depth == 0 or GATE.search(view.text) is None:
        return []
    views = [patched(view, found, kind) for kind, runs in INLINE if (found := list(runs(view.text)))]
    views += [alone for kind, runs in WHOLE for alone in _alone(view, runs(view.text), kind)]
    return views + [deeper for decoded in views for deeper in _decoded(decoded, depth - 1)]


def open_run(text: str, floor: int = 0) -> int:
    """Where an encoded or spaced run begins that reaches the end of a text, so that more text may continue it.

    Args:
        text: what has arrived so far.
        floor: nothing before it is looked at.

    Returns:
        An index from ``floor`` to ``len(text)``; the latter when no run is open.
    """
    start = _token_start(text, len(text), floor)
    while start - 18 > floor and text[start - 1] == "\n" and _BASE64_LINE.search(text, start - 18, start):
        start = _token_start(text, start - (2 if text[start - 2] == "\r" else 1), floor)
    if _LAST_LETTER.search(text, max(floor, len(text) - 8)):
        spaced = _OPEN_SPACED.search(text, max(floor, len(text) - _SPACED_CHARS))
        start = min(start, spaced.start()) if spaced else start
    return start


def _token_start(text: str, end: int, floor: int) -> int:
    while end > floor and text[end - 1] in _TOKEN:
        end -= 1
    return end


_TOKEN = frozenset(string.ascii_letters + string.digits + "+/=_%&#;\\-") | DROPPED
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/_-]{16}\r?\n\Z")
_LAST_LETTER = re.compile(rf"(?:[^\W\d_]|[0-9A-Fa-f]{{2}})(?:[{SEPARATORS}]{{1,3}}|\r?\n)[\w\\]{{0,4}}\Z")
_OPEN_SPACED = re.compile(
    rf"(?:(?<![^\W_])[^\W\d_][{SEPARATORS}]{{1,3}}){{2,}}[^\W\d_]?\Z"
    r"|(?:\b(?:0[xX]|\\?x)?[0-9A-Fa-f]{2}(?:[ :,-]{1,2}|\r?\n)){3,}(?:0[xX]?|\\?x)?[0-9A-Fa-f]{0,2}\Z"
)
_SPACED_CHARS = 4096
