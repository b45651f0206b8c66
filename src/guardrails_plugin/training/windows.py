"""Cuts texts into token windows, and windows into batches of like length.

The same cut is made when a text is judged, and the text's score is the highest of its windows: training on
windows with that maximum teaches where in a document the attack stands without anybody marking it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenizers import Tokenizer

PAD_MULTIPLE = 32
"""Padded lengths are multiples of this: variable shapes trained several times slower on 2 cores."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How texts are cut: `size` tokens a window with its frame, a new window each `stride`, at most `most` windows.

    124 leaves room for no padding beyond 128; the overlap holds a sentence of 30 tokens whole in one window.
    """

    size: int = 124
    stride: int = 90
    most: int = 16


@dataclass(frozen=True, slots=True)
class Row:
    """All windows of one text, with the number of its example."""

    index: int
    windows: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Tokens in the longest window."""
        return max(len(window) for window in self.windows)

    @property
    def padded(self) -> int:
        """Length to which this row's windows are padded."""
        return -(-self.longest // PAD_MULTIPLE) * PAD_MULTIPLE


def starts(tokens: int, size: int, cut: Cut) -> list[int]:
    """First token of every window of `size` over `tokens` tokens, as the runtime cuts them.

    Over the limit the first windows and the last one are kept.

    >>> starts(100, 60, Cut(stride=30)), starts(20, 60, Cut(stride=30))
    ([0, 30, 60], [0])
    """
    found = list(range(0, max(tokens - (size - cut.stride), 1), cut.stride))
    return found if len(found) <= cut.most else [*found[: cut.most - 1], found[-1]]


def pair_frame(tokenizer: Tokenizer, origin: str) -> tuple[list[int], list[int]]:
    """Token ids before and after the text when `origin` is the first segment of the pair."""
    marker = tokenizer.encode(origin, "a")
    with_text = [place for place, sequence in enumerate(marker.sequence_ids) if sequence == 1]
    return marker.ids[: with_text[0]], marker.ids[with_text[-1] + 1 :]


def encode(
    tokenizer: Tokenizer, texts: Sequence[str], origins: Sequence[str], cut: Cut, *, chunk: int = 2048
) -> list[Row]:
    """Windows of every text, framed with its origin."""
    frames = {origin: pair_frame(tokenizer, origin) for origin in set(origins)}
    rows: list[Row] = []
    for begin in range(0, len(texts), chunk):
        encoded = tokenizer.encode_batch(list(texts[begin : begin + chunk]), add_special_tokens=False)
        for offset, encoding in enumerate(encoded):
            before, after = frames[origins[begin + offset]]
            ids, size = encoding.ids, cut.size - len(before) - len(after)
            firsts = starts(len(ids), size, cut)
            windows = tuple((*before, *ids[first : first + size], *after) for first in firsts)
            rows.append(Row(begin + offset, windows))
    return rows


def batches(rows: Sequence[Row], *, tokens: int, seed: int | None = None) -> Iterator[list[Row]]:
    """Rows grouped by padded length, each group at most `tokens` padded tokens; shuffled if `seed` is given."""
    order = list(rows)
    rng = random.Random(seed)
    if seed is not None:
        rng.shuffle(order)
    order.sort(key=lambda row: row.padded)
    grouped: list[list[Row]] = []
    group: list[Row] = []
    used = 0
    for row in order:
        cost = row.padded * len(row.windows)
        if group and (used + cost > tokens or row.padded != group[0].padded):
            grouped.append(group)
            group, used = [], 0
        group.append(row)
        used += cost
    if group:
        grouped.append(group)
    if seed is not None:
        rng.shuffle(grouped)
    yield from grouped
