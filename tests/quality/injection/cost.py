"""What the detector costs beside the forward passes that it makes, and how many passes it makes.

Texts are blind and held-back rows and pieces of prose of mixed lengths. Each is scored by the detector with nothing
remembered, and its windows are run through the bare onnxruntime session; which comes first alternates. CPU time of this
thread, median of the paired ratios.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardrails_plugin import Origin, Segment
from guardrails_plugin.detectors.prompt_injection import PromptInjection
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, load_encoder
from guardrails_plugin.normalize import normalize
from tests.quality.injection.long_texts import python_prose
from tests.quality.injection.rows import Row, blind, drawn, held_back

SIZE = 400
SHORT = 300
"""Characters of a text that mostly fits one window: of 124 tokens, which is less in some scripts."""

_PIECES = (500, 1_000, 2_000, 4_000, 7_000)


class Counting(Encoder):
    """The embedded model, which keeps the windows that it ran and forgets what they gave."""

    def __init__(self) -> None:
        super().__init__(EMBEDDED)
        self.windows: list[tuple[int, ...]] = []

    def forget(self) -> None:
        self._known.clear()
        self.windows.clear()

    def _forward(self, window: tuple[int, ...]) -> Any:
        self.windows.append(window)
        return super()._forward(window)

    def bare(self, windows: Sequence[tuple[int, ...]]) -> None:
        for window in windows:
            ids = np.asarray([window], np.int64)
            self._session.run(self._outputs, {"input_ids": ids, "attention_mask": np.ones_like(ids)})


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one text: its passes, and CPU time over that of the bare passes, with and without normalising."""

    length: int
    passes: int
    ratio: float
    judging: float


def texts(size: int) -> list[Row]:
    """Three quarters rows, one quarter pieces of prose."""
    prose = python_prose()
    rows = drawn([*blind(), *held_back()], size * 3 // 4)
    step = len(prose) // max(1, size // 4)
    pieces = (prose[number * step :][: _PIECES[number % len(_PIECES)]] for number in range(size // 4))
    return [*rows, *(Row(text, label=False, origin=Origin.EXTERNAL) for text in pieces)]


def short(size: int) -> list[Row]:
    """Innocent rows that fit one window."""
    innocent = [row for row in (*blind(), *held_back()) if not row.label and len(row.text) < SHORT]
    encoder = load_encoder(EMBEDDED)
    return [row for row in drawn(innocent, size) if len(list(encoder._windows(0, Document(row.text, row.origin)))) == 1]


def passes(rows: Sequence[Row]) -> list[int]:
    """How many forward passes each text takes."""
    detector, encoder = _counted()
    found = []
    for row in rows:
        encoder.forget()
        detector.score([normalize(Segment(row.text, row.origin))])
        found.append(len(encoder.windows))
    return found


def measured(rows: Sequence[Row]) -> list[Cost]:
    """The cost of each text that has a pass."""
    detector, encoder = _counted()
    found = [_cost(detector, encoder, row, number) for number, row in enumerate(rows)]
    return [cost for cost in found if cost is not None]


def _counted() -> tuple[PromptInjection, Counting]:
    detector, encoder = PromptInjection(), Counting()
    detector.__dict__["_classifier"] = encoder
    return detector, encoder


def _cost(detector: PromptInjection, encoder: Counting, row: Row, number: int) -> Cost | None:
    segment = Segment(row.text, row.origin)

    def score() -> tuple[float, float]:
        encoder.forget()
        began = time.thread_time()
        view = normalize(segment)
        middle = time.thread_time()
        detector.score([view])
        return time.thread_time() - began, time.thread_time() - middle

    def bare() -> float:
        began = time.thread_time()
        encoder.bare(windows)
        return time.thread_time() - began

    score()
    windows = list(encoder.windows)
    if not windows:
        return None
    # Whichever is second finds warmer caches.
    if number % 2:
        (whole, judging), passes = score(), bare()
    else:
        passes = bare()
        whole, judging = score()
    return Cost(len(row.text), len(windows), whole / passes, judging / passes)


def lines(scale: float) -> Iterator[str]:
    """The table."""
    every = measured(texts(round(SIZE * scale)))
    bands = {"all": (0, 10**9), "to 300": (0, 300), "300-1,000": (300, 1_000), "over 1,000": (1_000, 10**9)}
    for name, (least, most) in bands.items():
        own = [cost for cost in every if least <= cost.length < most]
        if not own:
            continue
        ratios = np.asarray([cost.ratio for cost in own])
        low, high = np.quantile(ratios, (0.25, 0.75))
        yield (
            f"  {name:11} {len(own)} texts, {np.mean([c.passes for c in own]):.2f} passes a text; "
            f"CPU over the bare passes: median {np.median(ratios):.3f} (quartiles {low:.3f}-{high:.3f}), "
            f"without normalising {np.median([cost.judging for cost in own]):.3f}"
        )
    clean = np.asarray(passes(short(round(SIZE * scale))))
    yield (
        f"  innocent texts that fit one window: {np.mean(clean <= 1):.3f} of {len(clean)} with one pass at most, "
        f"mean {clean.mean():.2f}, most {clean.max()}"
    )
