"""Other windows, and other ways to make one probability of them: quality and cost of the classifier alone.

The classifier was trained on windows of the shipped size; another size is measured with the weights as they are. Areas
under the curve: of blind rows by origin, and of documents of 4 and 8 KB with an attack in the middle against documents
without (see `long_texts`). The share found is at the probability that flags at most one in twenty of the documents.
Cost: CPU time of the forward passes over all of these texts, against the shipped windows'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from guardrails_plugin import Origin
from guardrails_plugin.evaluation.metrics import auc, threshold_at
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder, load_encoder
from tests.quality.injection.long_texts import KILOBYTE, innocent_prose, outside, put, python_prose
from tests.quality.injection.rows import Floats, Row, blind, drawn
from tests.quality.measure_injection import STAGES

BLIND_SIZE, LONG_SIZE = 500, 60
GRID = ((64, 46), (96, 68), (124, 62), (124, 90), (124, 110), (192, 140), (256, 190))
"""Tokens of a window, its frame included, and of a step."""

FLAGGED = 0.05


def worst(windows: Floats) -> float:
    """The highest window, as it ships."""
    return float(windows.max())


def either_of_two(windows: Floats) -> float:
    """The two highest windows as independent witnesses."""
    return float(1 - np.prod(1 - np.sort(windows)[-2:]))


def by_number(windows: Floats) -> float:
    """The highest window, its odds over the root of the number of windows."""
    odds = windows.max() / (1 - windows.max()) / np.sqrt(len(windows))
    return float(odds / (1 + odds))


COMBINED: Mapping[str, Callable[[Floats], float]] = {
    "max": worst,
    "noisy-or of two": either_of_two,
    "by number": by_number,
}


@dataclass(frozen=True, slots=True)
class Texts:
    """What all settings are measured on."""

    blind: Sequence[Row]
    plain: Sequence[str]
    attacked: Sequence[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """Probabilities of the windows of every text, and the CPU time of their forward passes."""

    blind: Sequence[Floats]
    plain: Sequence[Floats]
    attacked: Sequence[Floats]
    seconds: float


def texts(scale: float) -> Texts:
    """Blind rows, and documents of 4 and 8 KB with and without an attack."""
    most = max(2, round(LONG_SIZE * scale))
    plain = [
        piece
        for kilobytes in (4, 8)
        for prose in (python_prose(), innocent_prose())
        for piece in _spread(prose, kilobytes * KILOBYTE, most // 4 or 1)
    ]
    attacked = [put(row.text, document, 0.5)[0] for row, document in zip(drawn(outside(), most), plain, strict=False)]
    return Texts(drawn(blind(), round(BLIND_SIZE * scale)), plain, attacked)


def _spread(prose: str, size: int, most: int) -> Iterator[str]:
    # From the middle of each part, so that these are not the pieces that other tables begin with.
    part = len(prose) // most
    yield from (prose[start + part // 3 : start + part // 3 + size] for start in range(0, most * part, part))


def read(size: int, stride: int, of: Texts) -> Setting:
    """All texts, by windows of this size."""
    encoder = Encoder(EMBEDDED)
    encoder.config = encoder.config.model_copy(update={"window_tokens": size, "stride_tokens": stride})
    spent = [0.0]
    blind_rows = [_windows(encoder, row.text, row.origin, spent) for row in of.blind]
    plain, attacked = ([_windows(encoder, t, Origin.EXTERNAL, spent) for t in own] for own in (of.plain, of.attacked))
    return Setting(blind_rows, plain, attacked, spent[0])


def _windows(encoder: Encoder, text: str, origin: Origin, spent: list[float]) -> Floats:
    scale = encoder.config.calibration[origin.value]
    cut = list(encoder._windows(0, Document(text, origin)))
    began = time.thread_time()
    logits = np.asarray([encoder._forward(window.ids).logits[0] for window in cut])
    spent[0] += time.thread_time() - began
    return 1 / (1 + np.exp(-(scale.a * logits + scale.b))) if cut else np.zeros(1)


def qualities(setting: Setting, of: Texts, combined: Callable[[Floats], float]) -> dict[str, float]:
    """Areas and the share found."""
    blind_scores = np.asarray([combined(windows) for windows in setting.blind])
    labels = np.asarray([row.label for row in of.blind])
    areas = {}
    for origin in STAGES:
        own = np.asarray([row.origin is origin for row in of.blind])
        areas[f"blind {origin}"] = auc(blind_scores[own], labels[own])
    plain, attacked = (np.asarray([combined(w) for w in each]) for each in (setting.plain, setting.attacked))
    both = np.concatenate([plain, attacked])
    areas["long"] = auc(both, np.arange(len(both)) >= len(plain))
    return {**areas, "long, found": float((attacked >= threshold_at(plain, FLAGGED)).mean())}


def shipped() -> tuple[int, int]:
    """Tokens of the model's own windows, and of its step."""
    config = load_encoder(EMBEDDED).config
    return config.window_tokens, config.stride_tokens


def lines(scale: float) -> Iterator[str]:
    """The grid."""
    of = texts(scale)
    base = read(*shipped(), of)
    yield f"{len(of.blind)} blind rows, {len(of.attacked)} documents with an attack, {len(of.plain)} without"
    for size, stride in GRID:
        own = (size, stride) == shipped()
        setting = base if own else read(size, stride, of)
        cost = setting.seconds / base.seconds
        mark = "  (ships)" if own else ""
        yield f"  {size} tokens, a new window each {stride}: cost {cost:.2f}{mark}"
        for name, combined in COMBINED.items():
            told = ", ".join(f"{what} {value:.3f}" for what, value in qualities(setting, of, combined).items())
            yield f"    {name:16} {told}"
