"""Finds encrypted values in a text by what they are, wherever they stand, and puts the originals back.

A value counts where it is not part of a longer word or number, unless its original was. Numbers (digits and capitals,
such as cards or IBANs) are also found when their separators were dropped or changed; the original then takes over the
new separators.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from guardrails_plugin.errors import ContentError

__all__ = ["Found", "Hidden", "Restorer"]

_RUN = re.compile(r"[0-9A-Za-z]+")
_NUMBER = re.compile(r"(?=.*[0-9])[0-9A-Z]{6,}")
_GAP = re.compile(r"[ \t\xa0\u2007\u2009\u202f()./\u2010-\u2015-]{0,3}")
"""What may stand between the groups of a number: spaces, brackets, dots, slashes, hyphens and dashes."""

_WIDEST_GAP = 3


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that stands in texts instead of another one.

    Attributes:
        text: what stands there.
        reveal: gives the original.
        rigid: found only exactly as it is, as surrogates are.
        touching: the original touched a word or number, so this one is found inside of one, too.
    """

    entity_type: str
    text: str = field(repr=False)
    reveal: Callable[[], str] = field(repr=False)
    rigid: bool = False
    touching: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Where in a text a hidden value stands, and what to put there."""

    start: int
    end: int
    entity_type: str
    plaintext: str = field(repr=False)


class Restorer:
    """Finds any number of hidden values in one pass; a restored value is never looked at again.

    Args:
        hidden: the values.

    Raises:
        ContentError: the same text stands for two different values.
    """

    def __init__(self, hidden: Iterable[Hidden]) -> None:
        self._exact: dict[str, Hidden] = {}
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        self._loose: dict[str, Hidden | None] = {}
        for value in hidden:
            self._add(value)
        glued = sorted((text for text, value in self._exact.items() if value.touching), key=len, reverse=True)
        self._glued = re.compile("|".join(map(re.escape, glued)) if glued else r"(?!)")
        numbers = [key for key, value in self._loose.items() if value is not None]
        self._prefixes = {key[:length] for key in numbers for length in range(1, len(key) + 1)}

    @property
    def longest(self) -> int:
        """Length of the longest stretch of text that could be one value: how much a stream must hold back."""
        spread = ((len(key) - 1) * (1 + _WIDEST_GAP) + 1 for key in self._loose)
        return max((*map(len, self._exact), *spread), default=0)

    def restore(self, text: str, types: Container[str] | None = None) -> str:
        """The text with the originals in place.

        Args:
            text: any text.
            types: entity types to restore; all by default.
        """
        parts, last = [], 0
        for found in self.find(text, types):
            parts += [text[last : found.start], found.plaintext]
            last = found.end
        return "".join((*parts, text[last:]))

    def find(self, text: str, types: Container[str] | None = None) -> tuple[Found, ...]:
        """Where hidden values stand, in order, without overlap; the first wins, of two at one place the longest."""
        if not self._exact:
            return ()
        glued = [(match.start(), match.end(), self._exact[match.group()]) for match in self._glued.finditer(text)]
        spans = [*glued, *self._apart(text, [(start, end) for start, end, _ in glued])]
        return tuple(
            Found(start, end, value.entity_type, _original(text[start:end], value))
            for start, end, value in sorted(spans, key=lambda span: span[0])
            if types is None or value.entity_type in types
        )

    def _apart(self, text: str, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int, Hidden]]:
        """Values that stand as words of their own, outside the stretches that are taken."""
        runs = list(_RUN.finditer(text))
        waiting = deque(taken)
        last = 0
        for index, run in enumerate(runs):
            while waiting and waiting[0][1] <= run.start():
                waiting.popleft()
            if run.start() < last or (waiting and waiting[0][0] < run.end()):
                continue
            start, end, value = self._exact_at(text, run, last)
            far = self._loose_end(text, runs, index)
            if far > end:
                start, end, value = run.start(), far, self._loose[_plain(text[run.start() : far])]
            if value is None or (waiting and waiting[0][0] < end):
                continue
            last = end
            yield start, end, value

    def _add(self, value: Hidden) -> None:
        known = self._exact.setdefault(value.text, value)
        if known is not value and known.reveal() != value.reveal():
            raise ContentError("an encrypted value stands for two different values; encrypt again with a new tweak")
        if value.touching and not known.touching:  # it stood twice, once by itself
            self._exact[value.text] = value
        run = _RUN.search(value.text)
        self._shapes.setdefault(run.group() if run else "", set()).add((run.start() if run else 0, len(value.text)))
        key = _plain(value.text)
        if value.rigid or not _NUMBER.fullmatch(key):
            return
        other = self._loose.setdefault(key, value)
        if other is not value and (other is None or _plain(other.reveal()) != _plain(value.reveal())):
            self._loose[key] = None

    def _exact_at(self, text: str, run: re.Match[str], last: int) -> tuple[int, int, Hidden | None]:
        """The longest value whose first run of letters and digits is this one."""
        best: tuple[int, int, Hidden | None] = (run.start(), run.start(), None)
        for lead, length in self._shapes.get(run.group(), ()):
            start, end = run.start() - lead, run.start() - lead + length
            value = self._exact.get(text[start:end]) if start >= last else None
            if value is not None and end > best[1] and not _cut(text, end):
                best = (start, end, value)
        return best

    def _loose_end(self, text: str, runs: list[re.Match[str]], index: int) -> int:
        """Where the longest number ends that begins with this run, its groups apart or not; 0 when none does."""
        joined, found = runs[index].group(), 0
        while joined in self._prefixes:
            here = runs[index].end()
            found = here if self._loose.get(joined) is not None else found
            index += 1
            if index == len(runs) or not _GAP.fullmatch(text, here, runs[index].start()):
                break
            joined += runs[index].group()
        return found


def _original(stretch: str, value: Hidden) -> str:
    plaintext = value.reveal()
    return plaintext if stretch == value.text else _laid_over(stretch, plaintext)


def _cut(text: str, end: int) -> bool:
    """True when a word or number goes on across ``end``."""
    return _RUN.fullmatch(text, end - 1, end + 1) is not None and end < len(text)


def _plain(text: str) -> str:
    return "".join(_RUN.findall(text))


def _laid_over(stretch: str, original: str) -> str:
    """The original's letters and digits in the places of the stretch's."""
    chars = iter(_plain(original))
    return _RUN.sub(lambda run: "".join(next(chars) for _ in run.group()), stretch)
