"""Classifiers beside each other, alone: no views, no rules, each at thresholds of its own that flag the same share.

For the question whether an encoder of many languages is worth its bytes: two trained on the same rows for the same
time, from MiniLM (``train --base minilm``) and from e5 (``train --base e5``).

    python -m tests.quality.injection models --models FOLDER FOLDER
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guardrails_plugin.evaluation.metrics import auc, threshold_at
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder
from tests.quality.injection.rows import Flags, Floats, Row, blind, drawn
from tests.quality.measure_injection import STAGES

SHARES = (0.03, 0.05, 0.09)
"""Of innocent texts that are flagged."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One classifier's quality on rows of some languages."""

    name: str
    area: float
    found: Sequence[float]
    """Share of the attacks at each of `SHARES`, whose thresholds are by origin and over all languages."""


def compared(folder: Path, rows: Sequence[Row]) -> Iterator[Compared]:
    """English, other languages and all."""
    encoder = Encoder(folder)
    readings = encoder.read([Document(row.text, row.origin) for row in rows])
    scores = np.asarray([reading.probability for reading in readings])
    labels = np.asarray([row.label for row in rows])
    english = np.asarray([row.lang == "en" for row in rows])
    flags = [flagged(rows, scores, share) for share in SHARES]
    for name, chosen in (("English", english), ("other languages", ~english), ("all", np.ones_like(english))):
        found = [float(flag[chosen & labels].mean()) for flag in flags]
        yield Compared(name, auc(scores[chosen], labels[chosen]), found)


def flagged(rows: Sequence[Row], scores: Floats, share: float) -> Flags:
    """What is flagged where of the innocent texts of each origin this share is."""
    labels = np.asarray([row.label for row in rows])
    result = np.zeros(len(rows), bool)
    for origin in STAGES:
        own = np.asarray([row.origin is origin for row in rows])
        result[own] = scores[own] >= threshold_at(scores[own & ~labels], share)
    return result


def lines(scale: float, folders: Sequence[Path] = ()) -> Iterator[str]:
    """The table: of these models, or of the one that ships."""
    every = blind()
    rows = drawn(every, round(scale * len(every)))
    yield f"{len(rows)} blind texts, the classifiers alone; found where .03, .05, .09 of the innocent texts are flagged"
    for folder in folders or (EMBEDDED,):
        size = sum(file.stat().st_size for file in folder.glob("model.onnx*")) / 1e6
        yield f"{folder.name}, {size:.0f} MB"
        for row in compared(folder, rows):
            found = ", ".join(f"{share:.3f}" for share in row.found)
            yield f"  {row.name:16} AUC {row.area:.3f}  found {found}"
