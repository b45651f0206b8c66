"""Reading, origins, splitting: what may be trained on and what stays on which side."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from guardrails_plugin.training import data
from guardrails_plugin.training.data import EXTERNAL, USER, Example

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    text = "\n".join(json.dumps(row) for row in rows) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_reads_plain_and_compressed_files(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [{"text": "hello", "label": 0, "category": "benign_chat"}])
    (example,) = data.read(path)
    assert (example.text, example.label, example.origin, example.source) == ("hello", 0, USER, "rows")


def test_rows_of_public_benchmarks_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": 0, "source": "BIPIA-train-table"},
        {"text": "b", "label": 1, "source": "inject[BIPIA-train-attack]→sotu"},
        {"text": "c", "label": 0, "source": "CyberSecEval-instruct"},
        {"text": "d", "label": 0, "source": "python-doc"},
    ]
    assert [example.text for example in data.read(write(tmp_path / "r.jsonl", rows))] == ["d"]


def test_rows_labelled_for_another_task_can_be_read_as_benign(tmp_path: Path) -> None:
    path = write(tmp_path / "toxic.jsonl", [{"text": "you fool", "label": 1}])
    assert [example.label for example in data.read(path, benign=True)] == [0]


@pytest.mark.parametrize("row", [{"label": 1}, {"text": "x"}, {"text": "x", "label": 2}, {"text": "x", "label": "?"}])
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, row: dict[str, object]) -> None:
    path = write(tmp_path / "bad.jsonl", [{"text": "fine", "label": 0}, row])
    with pytest.raises(ValueError, match=r"bad\.jsonl:2"):
        list(data.read(path))


@pytest.mark.parametrize(
    ("category", "source", "origin"),
    [
        ("direct/override", "x", USER),
        ("indirect/plain", "x", EXTERNAL),
        ("benign_instruction", "x", USER),
        ("benign_document", "x", EXTERNAL),
        ("tool_output/json", "x", EXTERNAL),
        ("email/spam", "x", EXTERNAL),
        ("code/python", "x", EXTERNAL),
        ("hard_benign/trigger_words", "mined:sotu", EXTERNAL),
        ("hard_benign/trigger_words", "chat", USER),
        ("prompt/work", "clinc/oos-eval", USER),
    ],
)
def test_origin_follows_from_category(category: str, source: str, origin: str) -> None:
    assert data.derive_origin(category, source) == origin


def test_an_origin_in_the_row_wins(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [{"text": "x", "label": 1, "category": "direct", "origin": "model"}])
    assert next(iter(data.read(path))).origin == "model"


def test_repetitions_differ_in_words_label_or_origin() -> None:
    same = [Example("Hello  there", 0, USER), Example("hello there", 0, USER)]
    other = [Example("hello there", 1, USER), Example("hello there", 0, EXTERNAL)]
    assert data.deduplicated([*same, *other]) == [same[0], *other]


def test_a_pair_is_never_split() -> None:
    examples = [Example(f"{n} {label}", label, USER, pair=f"p{n}") for n in range(200) for label in (0, 1)]
    split = data.split_pairs(examples)
    assert {e.pair for e in split.train}.isdisjoint({e.pair for e in split.held_back})
    assert 0.1 < len(split.held_back) / len(examples) < 0.3
    assert split == data.split_pairs(examples)


def test_half_a_character_can_be_split_by() -> None:
    split = data.split_pairs([Example(f"\ud800 {n}", 0, USER) for n in range(50)])
    assert split.train
    assert split.held_back


def test_a_source_is_never_split() -> None:
    examples = [Example(str(n), 0, USER, source=f"s{n % 4}/part") for n in range(40)]
    split = data.split_sources(examples, ["s1"])
    assert {e.source for e in split.held_back} == {"s1/part"}
    assert len(split.train) == 30


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("inject[garak]→postgresql-doc", "garak"),
        ("compose(user+pyrit/pliny)", "pyrit"),
        ("obf(sgd-user)", "sgd-user"),
        ("garak/inthewild(TrustAIRLab)", "garak"),
        ("mined:sotu", "sotu"),
        ("BFCL-v4/live_simple", "BFCL-v4"),
    ],
)
def test_family_of_a_source(source: str, name: str) -> None:
    assert data.family(source) == name


def test_some_documents_appear_as_pasted_by_the_user() -> None:
    documents = [Example(f"page {n}", 0, EXTERNAL) for n in range(300)]
    both = data.shared_between_origins(documents, share=3)
    pasted = [example for example in both if example.origin == USER]
    assert both[:1] == documents[:1]
    assert 60 < len(pasted) < 140
