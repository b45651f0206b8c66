r"""What LaTeX leaves out of the printed page or prints so that nobody sees it.

White or invisible text stands in slides and spaces in formulas as well, and comments are ordinary: every way scores
under .5, so that the words decide.

Source: The LaTeX Companion, 3rd ed. (color, comment, phantoms); hidden orders to reviewers' models in manuscripts are
reported since 2025 (Lin, "Hidden prompts in manuscripts exploit AI-assisted peer review").
Limits: colours of their own names and macros are not resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Unprinted", "unprinted"]

_WHITE = r"(?:\{white\}|\[rgb\]\{1(?:\.0)?,\s?1(?:\.0)?,\s?1(?:\.0)?\}|\[gray\]\{1(?:\.0)?\}|\[HTML\]\{[Ff]{6}\})"
_OPENING = re.compile(
    rf"\\textcolor\s?{_WHITE}\s?\{{|\\[hv]?phantom\s?\{{|\\color\s?{_WHITE}"
    r"|\\fontsize\{(?:0?\.\d{1,4}|[01](?:\.\d{1,4})?)(?:pt)?\}"
    r"|(?P<off>\\iffalse\b)|(?P<block>\\begin\{comment\})|(?:^|(?<=[^\\%]))(?P<line>%)",
    re.MULTILINE,
)
_CLOSING = {"off": "\\fi", "block": "\\end{comment}", "line": "\n"}
_PAPER = ("\\documentclass", "\\begin{document}", "\\section{")


class Unprinted(NamedTuple):
    """A stretch that readers of the printed page do not see."""

    start: int
    end: int
    comment: bool


def unprinted(text: str) -> Iterator[Unprinted]:
    r"""Stretches of LaTeX that are not seen in print; comments only where the text is a paper, not a line of one.

    >>> [text[start:end] for text in [r"\textcolor{white}{a {b} c} d"] for start, end, _ in unprinted(text)]
    ['\\textcolor{white}{a {b} c}']
    """
    if "\\" not in text:
        return
    at, paper = 0, any(mark in text for mark in _PAPER)
    while found := _OPENING.search(text, at):
        closing = _CLOSING.get(found.lastgroup or "")
        at = _after(text, closing, found.end()) if closing else _group_end(text, found.end())
        if paper or not closing:
            yield Unprinted(found.start(), at, comment=bool(closing))


def _after(text: str, mark: str, start: int) -> int:
    at = text.find(mark, start)
    return len(text) if at < 0 else at + len(mark)


_BRACE = re.compile(r"(?<!\\)[{}]")


def _group_end(text: str, start: int) -> int:
    """Behind the brace that closes the group which ``start`` stands in; the text's end when none does."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(text)
