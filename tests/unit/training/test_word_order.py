"""A table made from a few texts knows which of their words follow each other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from guardrails_plugin.detectors.word_order import unpack
from guardrails_plugin.training.word_order import main, table

TEXTS = [["the", "cat", "sees", "the", "dog", "."], ["the", "dog", "hears", "the", "cat", "."]] * 20


def test_pairs_of_the_texts_weigh_against_disorder() -> None:
    order = unpack(table(TEXTS, own=1, shared=2))
    number = order.number
    assert order.gains[number("the")][number("cat")] > 0 > order.gains[number("the")][number("the")]
    assert number("cat") == number("dog")


def test_main_writes_the_table(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl.gz", tmp_path / "table.npz"
    row = {"label": 0, "lang": "en", "category": "prompt", "text": "the cat sees the dog. " * 20}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    main([str(path), "--out", str(out)])
    with np.load(out) as written:
        assert written["gains"].dtype == np.int8
