"""Finds text in HTML, CSS, Markdown and LaTeX that readers do not see and models do.

How: the HTML is taken apart in one pass (`hidden_html`), style sheets (`hidden_sheet`) and styles (`hidden_css`) say
what is not shown: not displayed, invisible, transparent, tiny, in the colour of its background, off the screen,
clipped, without area, collapsed. The finding covers the hidden stretch, so that removing it leaves what a reader sees.
Where hidden text is ordinary, it takes words that speak to a reader who acts on them, ``data/hidden_text.toml``, to
make it a finding of .5 or more: comments, attributes, collapsed sections, labels, and states of a page (what has a
handle for scripts and styles, a class or an id, or holds links and buttons; templates; previews of mails; unprinted
LaTeX). A threshold of 0.4 removes those states too, one of 0.25 all comments.

Source: Greshake et al., "Not what you've signed up for" (2023), hidden text in web pages; OWASP LLM01:2025.
Limits: nothing is rendered: style sheets count for single tags, classes and ids, scripts not at all, images neither.
A lie that addresses nobody, hidden with a class of its own, scores .4. White text counts as hidden when nothing round
it has a background. Markup in Markdown code (fences, back-ticks) counts as text, except in a whole HTML page.
Quality: 411 manual pages in HTML (14 MB: npm, Node, valgrind, libraries): one finding of .5 or more. On 90 rows by
another hand, measured once (``tests/quality/measure_blind.py hidden_text_second``), recall .95, false alarms .02; on 72
whose mistakes were read, 1.0 and 0.
Cost: next to nothing on text without markup, up to 1 ms/KB on pages dense with tags.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import unescape
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.hidden_css import Hiding
from guardrails_plugin.detectors.hidden_html import Region, hidden_regions
from guardrails_plugin.detectors.hidden_latex import unprinted
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Pattern
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["HiddenText"]

_TYPES = {
    "element": "HIDDEN_ELEMENT",
    "text": "HIDDEN_ELEMENT",
    "comment": "HIDDEN_COMMENT",
    "attribute": "HIDDEN_ATTRIBUTE",
    "collapsed": "COLLAPSED_TEXT",
}
_MARKS = ("<", "]:", "](")
_ANY_MARKUP = re.compile(r"<[A-Za-z!/]|^[ \t]{0,3}\[[^\]\n]{1,40}\]:|\]\(", re.MULTILINE)
_MARKDOWN_COMMENT = re.compile(
    r"^[ \t]{0,3}\[[^\]\n]{1,40}\]:[ \t]{0,8}(?:#|<>)[ \t]{0,8}[\"'(](?P<said>[^\n]{1,4000}?)[\"')][ \t]{0,8}$",
    re.MULTILINE,
)
_LINK_TITLE = re.compile(r"\]\([^()\s]{0,2000}\s{1,8}(?P<quote>[\"'])(?P<said>[^\n\"]{1,2000}?)(?P=quote)\s{0,8}\)")
_IMAGE = re.compile(r"!\[(?P<said>[^\[\]\n]{1,2000})\]\(")
_PAGE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]{0,3}(?:>[ \t]?)?(```+|~~~+)", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]{1,400}`")
_MARKUP = re.compile(r"<[^<>]{0,2000}>")
_WORD = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_BRACKET = re.compile(r"[<>\"]+")
_SPACES = re.compile(r"\s+")

_CONTROL = re.compile(r"<(?:a|button|input|select|textarea|form|label|nav|menu|dialog)\b", re.IGNORECASE)
"""What a reader operates: with it, hidden text is a part of the page that is not in use."""

_SENTENCE = 4
"""Words under which a stretch is a marker or a label."""

_LABEL = 8
"""Words that a label for screen readers has at most ("Skip to the main content")."""

_LABEL_SCORE = 0.35
_MARKDOWN = Hiding("markdown comment", 0.3)
_UNPRINTED = Hiding("not printed", 0.4)
_COMMENTED = Hiding("LaTeX comment", 0.3)
_TOLD = Hiding("title or image text", 0.0)


@dataclass(frozen=True, config=SETTINGS)
class HiddenText:
    """Hidden text in HTML, CSS and Markdown."""

    name: ClassVar[str] = "hidden_text"
    entity_types: ClassVar[frozenset[str]] = frozenset(_TYPES.values())
    categories: ClassVar[Mapping[str, frozenset[str]]] = {
        "hidden": frozenset({"HIDDEN_ELEMENT", "HIDDEN_COMMENT", "HIDDEN_ATTRIBUTE"}),
        "collapsed": frozenset({"COLLAPSED_TEXT"}),
    }

    @cached_property
    def _rows(self) -> tuple[tuple[Pattern, float], ...]:
        """Patterns and the doubt that each leaves; a hidden injection is no quotation, so it counts twice."""
        own = [(row, 1 - row.score) for row in load_table("hidden_text")]
        return (*own, *((row, (1 - row.score) ** 2) for row in load_table("prompt_injection")))

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [by_place(self._findings(text)) for text in texts]

    def _findings(self, text: Text) -> Iterator[Finding]:
        view = text.views[0]
        for region in _outermost([*_marked_up(view.text), *_latex(view.text)]):
            if found := self._finding(text, view, region):
                yield found

    def _finding(self, text: Text, view: View, region: Region) -> Finding | None:
        markup = view.text[region.start : region.end]
        said = _said(markup)
        words = len(_WORD.findall(said))
        if words < (1 if region.kind in ("element", "text") else _SENTENCE):
            return None
        addressed = self._addressed(said)
        if region.kind == "element" and not addressed:
            addressed = self._addressed(_BRACKET.sub("\n", unescape(markup)))  # its comments and attributes, too
        score = _score(_plain(region.hiding, words, markup), addressed)
        if score < 0.25:
            return None  # an ordinary description or title
        span = view.span(region.start, region.end)
        evidence: dict[str, str | float] = {"how": region.hiding.reason, "words": float(words)}
        if addressed:
            evidence["addressed"] = round(addressed, 3)
        kind = _TYPES[region.kind]
        return Finding(self.name, kind, round(score, 3), span.start, span.end, text.segment, evidence)

    def _addressed(self, said: str) -> float:
        """Probability that hidden words speak to a model."""
        data = said.encode("utf-8", "replace")
        doubt = 1.0
        for row, left in self._rows:
            if row.compiled.search(data):
                doubt *= left
        return 1 - doubt


def _plain(hiding: Hiding, words: int, markup: str) -> float:
    """Score of hidden text whatever it says: labels and parts of the page that are not in use are ordinary."""
    if words <= (_LABEL if hiding.accessible else _SENTENCE - 1):
        return min(hiding.score, _LABEL_SCORE)
    return hiding.undone().score if _CONTROL.search(markup) else hiding.score


def _score(plain: float, addressed: float) -> float:
    """Where hidden text is ordinary, that it is hidden is no evidence and only its words are."""
    return max(plain, addressed) if plain < 0.5 else 1 - (1 - plain) * (1 - addressed)


def _said(markup: str) -> str:
    """What a stretch of markup says, white space evened out."""
    inner = markup.removeprefix("<!--").removesuffix("-->")
    return _SPACES.sub(" ", unescape(_MARKUP.sub(" ", inner))).strip()


def _marked_up(text: str) -> Iterator[Region]:
    if any(mark in text for mark in _MARKS) and _ANY_MARKUP.search(text):
        shown = _shown(text)
        yield from hidden_regions(text, shown)
        yield from _markdown(text, shown)


def _latex(text: str) -> Iterator[Region]:
    for start, end, comment in unprinted(text):
        yield Region("comment" if comment else "element", start, end, _COMMENTED if comment else _UNPRINTED)


def _markdown(text: str, shown: Callable[[int], int]) -> Iterator[Region]:
    """Link definitions that lead nowhere, which render as nothing, titles of links and descriptions of images."""
    if "]:" in text:
        for match in _MARKDOWN_COMMENT.finditer(text):
            if shown(match.start()) == match.start():
                yield Region("comment", match.start(), match.end(), _MARKDOWN)
    for mark, pattern in (("](", _LINK_TITLE), ("![", _IMAGE)):
        for match in pattern.finditer(text) if mark in text else ():
            if shown(match.start()) == match.start():
                yield Region("attribute", *match.span("said"), _TOLD)


def _outermost(regions: Iterable[Region]) -> Iterator[Region]:
    """Without regions inside hidden elements and comments: removing the outer one removes them."""
    end = 0
    for region in sorted(regions, key=lambda region: (region.start, -region.end)):
        if region.end > end:
            yield region
            if region.kind != "collapsed":
                end = region.end


def _shown(text: str) -> Callable[[int], int]:
    """For a place in Markdown code, where the code ends; for any other place, the place itself."""
    if "`" not in text and "~~~" not in text:
        return _everywhere
    if _PAGE.search(text):
        return _everywhere
    ranges = sorted([*_fenced(text), *(match.span() for match in _CODE.finditer(text))])
    starts = [start for start, _ in ranges]

    def end(at: int) -> int:
        index = bisect_right(starts, at) - 1
        return ranges[index][1] if index >= 0 and at < ranges[index][1] else at

    return end


def _everywhere(at: int) -> int:
    return at


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """Fenced code that is closed."""
    fences = [(match.start(1), match[1]) for match in _FENCE.finditer(text)]
    begun: tuple[int, str] | None = None
    for at, mark in fences:
        if begun is None:
            begun = at, mark
        elif mark.startswith(begun[1]):
            yield begun[0], at + len(mark)
            begun = None
