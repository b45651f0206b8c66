"""The table of letter pairs by which `detectors.letter_order` tells text that was written backwards.

For each place of the table, pairs in the one order are counted against those in the other. Each language weighs the
same, so that rare ones have their say; to both counts some are added (Laplace), so that what was seen once says little.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin.detectors.letter_order import PLACES, UNIT, pairs
from guardrails_plugin.training import data

__all__ = ["main", "rows", "table"]

_LETTERS = 300_000.0
"""Pairs that the counts of a language with more are scaled down to."""

_SEEN = 4.0
"""Added to both counts: with one, a language of two rows was read from its end."""

_HIDDEN = ("obf", "encod", "code")
"""Parts of categories whose texts do not stand as people write."""


def rows(examples: Iterable[data.Example]) -> Iterator[tuple[str, str]]:
    """Language and text of the rows that are plain text."""
    for example in examples:
        if example.lang != "code" and not any(part in example.category for part in _HIDDEN):
            yield example.lang, example.text


def table(texts: Iterable[tuple[str, str]]) -> Any:
    """Bits of each place, int8, in steps of ``1 / UNIT``."""
    counts: dict[str, Any] = defaultdict(lambda: np.zeros((2, PLACES)))
    for language, text in texts:
        place, sign = pairs(text)
        for row, wanted in enumerate((1, -1)):
            counts[language][row] += np.bincount(place[sign == wanted], minlength=PLACES)
    total = np.full((2, PLACES), _SEEN)
    for of_one in counts.values():
        total += of_one * min(1.0, _LETTERS / max(of_one.sum(), 1.0))
    return np.clip(np.round(np.log2(total[0] / total[1]) * UNIT), -127, 127).astype(np.int8)


def main(arguments: list[str] | None = None) -> None:
    """Count the letters of training rows and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="file with rows of a corpus")
    parser.add_argument("--own", type=Path, required=True, help="folder with files of hand-written rows")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file")
    options = parser.parse_args(arguments)
    own = data.split_pairs(data.read_all(data.files(options.own))).train
    np.savez_compressed(options.out, bits=table(rows([*data.read(options.data), *own])))


if __name__ == "__main__":
    main()
