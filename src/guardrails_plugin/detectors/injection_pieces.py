"""A second, closer look at long texts: the parts of a window in which something may be hidden.

A sentence among harmless ones lowers what a classifier says of the window that holds both. So the worst window of a
long text, where it is in doubt, is read again part by part. The parts are those that the writer made: paragraphs, or
else lines or sentences in overlapping runs of half the window.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from guardrails_plugin.types import Span

__all__ = ["pieces"]

_PARAGRAPH = re.compile(r"\n\s*\n")
_SMALLER = (re.compile(r"\n"), re.compile(r"[.!?](?=\s)|[\u3002\uff01\uff1f]"))

_LEAST = 20
"""Characters of a part that can say something, and by which a part is shorter than the window."""


def pieces(text: str, window: Span) -> list[Span]:
    r"""Parts of a window of the text; none where it is not divided.

    >>> pieces("To all: the lift is out of order.\n\nPlease use the stairs for now.", Span(0, 64))
    [Span(start=0, end=35), Span(start=35, end=64)]
    """
    paragraphs = [part for part in _parts(text, window, _PARAGRAPH) if _says(text, part)]
    if len(paragraphs) > 1:
        return [part for part in paragraphs if _smaller(part, window)]
    divided = (_parts(text, window, boundary) for boundary in _SMALLER)
    parts = next((found for found in divided if len(found) > 1), [])
    runs = _runs(parts, (window.end - window.start) // 2)
    return [run for run in runs if _says(text, run) and _smaller(run, window)]


def _parts(text: str, window: Span, boundary: re.Pattern[str]) -> list[Span]:
    ends = [found.end() for found in boundary.finditer(text, window.start, window.end)]
    return [Span(start, end) for start, end in pairwise([window.start, *ends, window.end]) if start < end]


def _says(text: str, span: Span) -> bool:
    return len(text[span.start : span.end].strip()) > _LEAST


def _smaller(span: Span, window: Span) -> bool:
    return span.end - span.start < window.end - window.start - _LEAST


def _runs(parts: Sequence[Span], longest: int) -> Iterator[Span]:
    """Of every part on, as many as fit, but for runs inside the one before."""
    reached = 0
    for number, first in enumerate(parts):
        end = _last(parts[number + 1 :], first.start + longest, first.end)
        if end > reached:
            yield Span(first.start, end)
            reached = end


def _last(parts: Iterable[Span], limit: int, end: int) -> int:
    for part in parts:
        if part.end > limit:
            break
        end = part.end
    return end
