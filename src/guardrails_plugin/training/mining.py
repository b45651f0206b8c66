"""Finds benign texts that an earlier artifact takes for attacks: the most useful rows of the next run."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from guardrails_plugin.training import export, windows
from guardrails_plugin.training.data import family

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guardrails_plugin.training.data import Example

SHARE_OF_ONE_FAMILY = 0.25
"""No family of sources gives more than this share of the mined rows."""


def mined(
    artifact: Path, pool: Sequence[Example], *, count: int, looked_at: int = 8000, seed: int = 17
) -> list[Example]:
    """The benign examples of `pool` that `artifact` scores highest.

    Args:
        artifact: folder of an earlier run.
        pool: examples that the coming run would not see otherwise.
        count: most examples returned.
        looked_at: most examples scored, drawn at random (about 10 ms each).
        seed: of the draw.
    """
    benign = [example for example in pool if not example.label]
    drawn = random.Random(seed).sample(benign, min(looked_at, len(benign)))
    return hardest(drawn, _scores(artifact, drawn), count=count)


def hardest(examples: Sequence[Example], scores: NDArray[np.float32], *, count: int) -> list[Example]:
    """The `count` examples with the highest scores, no family more than its share."""
    most = max(1, int(count * SHARE_OF_ONE_FAMILY))
    taken: Counter[str] = Counter()
    chosen: list[Example] = []
    for number in np.argsort(-scores, kind="stable"):
        example = examples[int(number)]
        name = family(example.source)
        if taken[name] < most and len(chosen) < count:
            taken[name] += 1
            chosen.append(example)
    return chosen


def _scores(artifact: Path, examples: Sequence[Example]) -> NDArray[np.float32]:
    settings = json.loads((artifact / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(artifact / "tokenizer.json"))
    cut = windows.Cut(settings["window_tokens"], settings["stride_tokens"], settings["max_windows"])
    origins = [settings["origins"][example.origin] for example in examples]
    rows = windows.encode(tokenizer, [example.text for example in examples], origins, cut)
    return export.row_scores(export.session(artifact / "model.onnx"), rows)
