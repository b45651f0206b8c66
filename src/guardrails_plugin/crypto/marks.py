"""Encrypted values out of the sight of a check: marks (``⟦1⟧``) in their places, and the values in the marks' again.

Later stages would take an encrypted value for the real thing: replace it, block it, or encrypt it once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from guardrails_plugin.crypto.fpe_context import FpeContext

__all__ = ["Marks"]

_MARK = re.compile(r"⟦([0-9]{1,9})⟧")


class Marks:
    """The marks of one content.

    Args:
        opened: what is known of encrypted values, oldest first.
    """

    def __init__(self, opened: Sequence[FpeContext]) -> None:
        self._opened = opened
        self._numbers: dict[str, int] = {}
        self._next = 1

    def hide(self, texts: Iterable[str]) -> list[str]:
        """The texts with a mark in every encrypted value's place; equal values have equal marks."""
        given = list(texts)
        # A mark that somebody wrote stays what it is.
        self._next = max((self._next, *(int(mark[1]) + 1 for text in given for mark in _MARK.finditer(text))))
        return [self._marked(text) for text in given]

    def show(self, texts: Iterable[str]) -> list[str]:
        """The texts with the values in place of these marks."""
        values = {number: value for value, number in self._numbers.items()}
        return [_MARK.sub(lambda mark: values.get(int(mark[1]), mark[0]), text) for text in texts]

    def _marked(self, text: str) -> str:
        for opened in reversed(self._opened):
            parts, last = [], 0
            for found in opened.find(text):
                parts += [text[last : found.start], self._mark(text[found.start : found.end])]
                last = found.end
            text = "".join((*parts, text[last:]))
        return text

    def _mark(self, value: str) -> str:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = self._next
            self._next += 1
        return f"⟦{number}⟧"
