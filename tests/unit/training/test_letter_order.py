"""A table made from a few texts knows which way they were written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from guardrails_plugin.detectors.letter_order import PLACES, pairs
from guardrails_plugin.training.data import Example
from guardrails_plugin.training.letter_order import main, rows, table


def test_pairs_of_the_texts_weigh_for_their_order() -> None:
    bits = table([("ru", "мир и дом")] * 20)
    place, sign = pairs("мир")
    assert (bits[place] * sign > 0).all()
    assert bits.dtype == np.int8
    assert bits.shape == (PLACES,)


def test_hidden_rows_are_not_counted() -> None:
    plain = Example("мир", 0, "user", "chat", "ru")
    hidden = Example("рим", 1, "user", "direct/obf_reversed", "ru")
    assert list(rows([plain, hidden, Example("x = y", 0, "user", "code", "code")])) == [("ru", "мир")]


def test_main_writes_the_table(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.jsonl").write_text(json.dumps({"text": "дом", "label": 0, "category": "chat", "lang": "ru"}) + "\n")
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"text": "мир и дом " * 20, "label": 0, "category": "chat", "lang": "ru"}) + "\n")
    out = tmp_path / "table.npz"
    main(["--data", str(tmp_path / "rows.jsonl.gz"), "--own", str(own), "--out", str(out)])
    with np.load(out) as written:
        place, sign = pairs("дом")
        assert (written["bits"][place] * sign > 0).all()
