"""Finds text that readers do not see and models do, and characters that change how text is read.

How: one pass over the original for rare characters, then by kind: messages smuggled in Unicode tags and variation
selectors (decoded to measure them, never quoted), bidirectional controls, zero-width characters, escape sequences of
terminals and other control characters. Neighbours are one finding.

Source: Unicode Standard Annex 9 (bidirectional), Technical Standards 39 and 51 (emoji tags, ZWJ, presentation
selectors); Boucher and Anderson, "Trojan Source" (2021); Goodside, "ASCII smuggling" (2024); ECMA-48 (sequences).
Limits: white-on-white text, tiny fonts and hidden HTML are not looked at; a zero-width joiner used as a watermark in
scripts that need joiners passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.matching import CONTEXT_CHARS
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["InvisibleText"]


class _Found(NamedTuple):
    entity_type: str
    score: float
    start: int
    end: int
    evidence: Mapping[str, str | float]


_CONTROL_CHARS = "\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f"
_CONTROL_BYTES = bytes(code for code in range(128) if re.match(f"[{_CONTROL_CHARS}]", chr(code)))
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?|\x9b[0-?]+[ -/]*[@-~]|\x1b[\]PX^_][ -~]{0,1024}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(f"(?:{_ESCAPE.pattern}|[{_CONTROL_CHARS}])+")
_COLOUR = re.compile(r"(?:\x1b\[[0-9;:]*m)+")

_TAG = "\U000e0000-\U000e007f"
_SELECTOR = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_BIDI = "\u202a-\u202e\u2066-\u2069"
_ZERO = "\u200b-\u200d\u2060-\u2064\u206a-\u206f\ufeff\u180e\u00ad\u115f\u1160\u3164\uffa0\u034f\ufff9-\ufffb"
_RARE = re.compile(f"[{_CONTROL_CHARS}{_TAG}{_SELECTOR}{_BIDI}{_ZERO}]")
_TAGS = re.compile(f"[{_TAG}]+")
_SELECTORS = re.compile(f"[{_SELECTOR}]{{2,}}|[\U000e0100-\U000e01ef]|(?<=[A-Za-z])[{_SELECTOR}]")
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_ZEROES = re.compile(f"[{_ZERO}](?:[{_ZERO}\u200e\u200f]*[{_ZERO}])?")
_SHY_SPLIT = re.compile("(?:[A-Za-z]\u00ad){4,}")
_BIDIS = re.compile(f"[{_BIDI}]+")
_LINE_END = re.compile("[\n\r\u2029]")
_CLOSER = {
    **dict.fromkeys("\u202a\u202b\u202d\u202e", "\u202c"),
    **dict.fromkeys("\u2066\u2067\u2068", "\u2069"),
}
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
# Scripts that need joiners: Arabic, Syriac, N'Ko, the Indic ones to Burmese, Khmer and Mongolian, their extensions.
_JOINING = re.compile(
    "[\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua8e0-\ua8ff\ua980-\ua9df\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc]"
)


@dataclass(frozen=True, config=SETTINGS)
class InvisibleText:
    """Hidden messages, bidirectional and zero-width tricks, terminal escapes and control characters."""

    name: ClassVar[str] = "invisible_text"
    quick: ClassVar[bool] = True
    entity_types: ClassVar[frozenset[str]] = frozenset(
        {"HIDDEN_MESSAGE", "BIDI_CONTROL", "ZERO_WIDTH", "CONTROL_CHARACTER"}
    )
    categories: ClassVar[Mapping[str, frozenset[str]]] = {
        "hidden": frozenset({"HIDDEN_MESSAGE"}),
        "formatting": frozenset({"BIDI_CONTROL", "ZERO_WIDTH", "CONTROL_CHARACTER"}),
    }
    local: ClassVar[bool] = True
    reach: ClassVar[int] = 16
    """Characters a stream holds back: the first of a word split by soft hyphens."""

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        original = text.original
        if not _suspect(original):
            return ()
        found = [*_controls(original), *(() if original.isascii() else _unseen(original))]
        return by_place(
            Finding(self.name, kind, score, start, end, text.segment, evidence)
            for kind, score, start, end, evidence in found
        )


def _suspect(text: str) -> bool:
    """True when there is anything to look at."""
    if not text.isascii():
        return _RARE.search(text) is not None
    data = text.encode()  # nearly all traffic: this is several times faster than a search
    return len(data.translate(None, _CONTROL_BYTES)) < len(data)


def _controls(text: str) -> Iterator[_Found]:
    for match in _CONTROLS.finditer(text):
        kind, score = _control_kind(match.group())
        length = float(match.end() - match.start())
        yield _Found("CONTROL_CHARACTER", score, match.start(), match.end(), {"kind": kind, "length": length})


def _control_kind(run: str) -> tuple[str, float]:
    if "\x1b" in run:
        return ("colour", 0.55) if _COLOUR.fullmatch(run) else ("escape sequence", 0.85)
    if "\x9b" in run and len(run) > 1:
        return "escape sequence", 0.6
    if min(run) >= "\x80":
        return "c1", 0.3  # nearly always text in a broken encoding
    if "\x08" in run:
        return "backspace", 0.75
    return ("separator", 0.35) if run.strip("\x1c\x1d\x1e\x1f") == "" else ("control", 0.5)


_MESSAGE_SCORES = ((4, 0.97), (2, 0.8), (0, 0.55))
"""By how many characters a message has at least."""

_RUN_SCORES = ((8, 0.92), (3, 0.75))
"""The same for zero-width characters in a row."""


def _unseen(text: str) -> Iterator[_Found]:
    plain = _FLAG.sub(lambda match: "\u3000" * len(match.group()), text)  # flags of regions are spelt in tags
    yield from _hidden(plain)
    yield from _bidi(plain)
    yield from _zero_width(plain)


def _hidden(text: str) -> Iterator[_Found]:
    for match in _TAGS.finditer(text):
        yield _message(match, "tags", sum("\U000e0020" <= char <= "\U000e007e" for char in match.group()))
    for match in _SELECTORS.finditer(text):
        if match.end() - match.start() > 1 or not _ideograph(text[match.start() - 1 : match.start()]):
            yield _message(match, "variation selectors", match.end() - match.start())


def _message(match: re.Match[str], how: str, length: int) -> _Found:
    score = next(score for least, score in _MESSAGE_SCORES if length >= least)
    if score < _MESSAGE_SCORES[0][1] and set(match.group()) <= {"\ufe0e", "\ufe0f"}:
        score = 0.3  # a picture's selector typed twice
    return _Found("HIDDEN_MESSAGE", score, match.start(), match.end(), {"kind": how, "length": float(length)})


def _ideograph(char: str) -> bool:
    """True for Chinese characters, of which registered variants exist."""
    return char >= "\u2e80" and unicodedata.name(char, "").startswith("CJK")


def _bidi(text: str) -> Iterator[_Found]:
    for match in _BIDIS.finditer(text):
        before = _LINE_END.split(text[max(0, match.start() - CONTEXT_CHARS) : match.start()])[-1]
        after = _LINE_END.split(text[match.end() : match.end() + CONTEXT_CHARS])[0]
        score, kind = _bidi_score(before, match.group(), after)
        yield _Found("BIDI_CONTROL", score, match.start(), match.end(), {"kind": kind})


def _bidi_score(before: str, run: str, after: str) -> tuple[float, str]:
    """How odd a run of controls is in its line (they end with it)."""
    line = before + run + after
    right_to_left = _RIGHT_TO_LEFT.search(line) is not None
    if "\u202d" in run or "\u202e" in run:
        return (0.6 if right_to_left else 0.92), "override"
    if not _balanced(line):
        return (0.4 if right_to_left else 0.75), "unbalanced"
    if right_to_left:
        return 0.1, "balanced"
    # Message libraries put isolates of unknown or left-to-right direction round inserted names.
    return (0.55 if "\u2067" in line or "\u202b" in line else 0.25), "balanced"


def _balanced(line: str) -> bool:
    open_: list[str] = []
    for char in line:
        if char in _CLOSER:
            open_.append(_CLOSER[char])
        elif char in "\u202c\u2069" and (not open_ or open_.pop() != char):
            return False
    return not open_


def _zero_width(text: str) -> Iterator[_Found]:
    for match in _SHY_SPLIT.finditer(text):
        yield _Found(
            "ZERO_WIDTH", 0.6, match.start(), match.end(), {"kind": "soft hyphens", "length": float(len(match.group()))}
        )
    for match in _ZEROES.finditer(text):
        before, run, after = text[match.start() - 1 : match.start()], match.group(), text[match.end() : match.end() + 1]
        score = _zero_score(before, run, after, first=match.start() == 0)
        if score:
            kind = unicodedata.name(run[0], "control").lower() if len(set(run)) == 1 else "several"
            yield _Found("ZERO_WIDTH", score, match.start(), match.end(), {"kind": kind, "length": float(len(run))})


def _zero_score(before: str, run: str, after: str, *, first: bool) -> float:
    """How odd a run of zero-width characters is between these two; 0 where it belongs."""
    if first and run == "\ufeff":
        return 0.0
    if score := next((score for least, score in _RUN_SCORES if len(run) >= least), 0.0):
        return score
    between_letters = before.isascii() and before.isalnum() and after.isascii() and after.isalnum()
    if len(run) > 1:
        return 0.7 if between_letters else 0.4
    if _JOINING.match(before) or _JOINING.match(after) or (run == "\u200d" and _in_emoji(before, after)):
        return 0.0
    if between_letters:
        return 0.0 if run == "\u00ad" else 0.7
    if run == "\u00ad" or (run in "\u115f\u1160\u3164\uffa0" and _hangul(before + after)):
        return 0.0
    if before.isalpha() and after.isalpha() and max(before, after) < "\u2e80":
        return 0.6
    return 0.25


def _in_emoji(before: str, after: str) -> bool:
    return bool(before and after) and (before == "\ufe0f" or _pictured(before)) and _pictured(after)


def _pictured(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Sk") or char in "\u2194\u2195\u20e3"


def _hangul(chars: str) -> bool:
    return any(
        "\u1100" <= char <= "\u11ff" or "\u3130" <= char <= "\u318f" or "\uac00" <= char <= "\ud7ff" for char in chars
    )
