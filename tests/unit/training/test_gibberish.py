"""A table made from a few texts tells their words from random letters."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from guardrails_plugin.detectors.letter_model import from_costs, load_model
from guardrails_plugin.training.gibberish import costs, count, main, rows

TEXTS = [("en", "the water in the river runs under the old stone bridge and on to the sea " * 200)]


def test_words_of_the_texts_cost_less_than_random_letters() -> None:
    table = costs(count(TEXTS)["latin"])
    model = from_costs("latin", table)
    assert table.shape == (27, 27, 27)
    assert model.surplus("stone") < 0 < model.surplus("xqzkvjw")


def test_languages_of_a_script_weigh_alike_however_much_there_is_of_them() -> None:
    texts = [*TEXTS * 20, ("xx", "zqu zqu zqu zqa " * 800)]
    model = from_costs("latin", costs(count(texts)["latin"]))
    assert model.surplus("zquzqu") < 0


def test_quotations_in_another_script_do_not_count() -> None:
    texts = [("ru", "вода в реке течёт под мостом " * 400 + "qzx vkw " * 300)]
    assert "ru" in count(texts)["cyrillic"]
    assert "ru" not in count(texts)["latin"]


def test_rows_are_harmless_prose_of_the_training_split(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    table = [
        {"label": 0, "lang": "en", "category": "prompt", "split": "train", "text": "kept"},
        {"label": 1, "lang": "en", "category": "prompt", "split": "train", "text": "attack"},
        {"label": 0, "lang": "en", "category": "prompt", "split": "dev", "text": "held back"},
        {"label": 0, "lang": "code", "category": "code", "split": "train", "text": "x = 1"},
        {"label": 0, "lang": "en", "category": "hard/encoded", "split": "train", "text": "uryyb"},
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in table)
    assert list(rows(path)) == [("en", "kept")]


def test_main_writes_the_table(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl.gz", tmp_path / "table.npz"
    row = {"label": 0, "lang": "en", "category": "prompt", "text": TEXTS[0][1]}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    main([str(path), "--out", str(out)])
    with np.load(out) as table:
        assert table["latin"].dtype == np.uint8


def test_the_embedded_table_knows_five_scripts() -> None:
    assert set(load_model()) == {"latin", "cyrillic", "greek", "hebrew", "arabic"}
