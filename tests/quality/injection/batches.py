"""Windows in batches, sorted by length, against one a pass, as it ships: CPU time, and how far logits move.

The windows of blind rows of all lengths. In a batch, short windows are padded to the longest (masked), and the scales
that int8 graphs find as they run (dynamic quantisation) are those of all windows together, so that what a window gets
depends on its company. One thread; whichever way comes first alternates; median of the paired ratios.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, load_encoder
from tests.quality.injection.rows import Floats, blind, drawn

SIZE = 200
BATCHES = (2, 8, 32)
ROUNDS = 3

Window = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batched:
    """Against one a pass: CPU time, and the mean and the largest difference of the first head's logits."""

    cost: float
    moved: float
    furthest: float


def windows_of(encoder: Encoder, size: int) -> list[Window]:
    """The windows of so many blind rows, sorted by length."""
    rows = drawn(blind(), size)
    cut = (window.ids for row in rows for window in encoder._windows(0, Document(row.text, row.origin)))
    return sorted(cut, key=len)


def logits(encoder: Encoder, windows: Sequence[Window], batch: int) -> Floats:
    """Of the first head, so many windows a pass."""
    passes = (windows[start : start + batch] for start in range(0, len(windows), batch))
    return np.concatenate([_pass(encoder, own) for own in passes])


def _pass(encoder: Encoder, windows: Sequence[Window]) -> Floats:
    mask = np.arange(max(map(len, windows))) < np.asarray([[len(window)] for window in windows])
    ids = np.full(mask.shape, encoder._tokenizer.token_to_id("<pad>"), np.int64)
    ids[mask] = np.concatenate(windows)
    (found,) = encoder._session.run(["logits"], {"input_ids": ids, "attention_mask": mask.astype(np.int64)})
    return np.asarray(found[:, 0], np.float64)


def measured(encoder: Encoder, windows: Sequence[Window], batch: int) -> Batched:
    """One size of batches."""
    ratios = []
    for number in range(ROUNDS):
        sizes = (1, batch) if number % 2 else (batch, 1)
        found = {size: _timed(encoder, windows, size) for size in sizes}
        ratios.append(found[batch][0] / found[1][0])
        moved = np.abs(found[batch][1] - found[1][1])
    return Batched(float(np.median(ratios)), float(moved.mean()), float(moved.max()))


def _timed(encoder: Encoder, windows: Sequence[Window], batch: int) -> tuple[float, Floats]:
    began = time.thread_time()
    found = logits(encoder, windows, batch)
    return time.thread_time() - began, found


def lines(scale: float) -> Iterator[str]:
    """The table."""
    encoder = load_encoder(EMBEDDED)
    windows = windows_of(encoder, round(SIZE * scale))
    length, spread = np.mean([len(window) for window in windows]), np.std(logits(encoder, windows, 1))
    yield f"{len(windows)} windows, {length:.0f} tokens on the mean; standard deviation of their logits {spread:.2f}"
    for batch in BATCHES:
        row = measured(encoder, windows, batch)
        yield (
            f"  batches of {batch:2} sorted by length: CPU time of one a pass {row.cost:.2f}; "
            f"logits moved by {row.moved:.3f} on the mean, {row.furthest:.3f} at most"
        )
