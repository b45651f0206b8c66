"""What rows say to the heads besides injection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from guardrails_plugin.training.data import UNKNOWN, Example
from guardrails_plugin.training.head_rows import read_head_rows, shares, toxic
from guardrails_plugin.training.heads import ABSENT, LABELS, TOXICITY, labelled_rows, targets, toxicity_labels

if TYPE_CHECKING:
    from pathlib import Path


def known(example: Example) -> dict[str, float]:
    return {label: float(value) for label, value in zip(LABELS, targets(example), strict=True) if not np.isnan(value)}


def test_an_injection_row_says_nothing_about_toxicity() -> None:
    assert known(Example("x", 1, "user", source="garak")) == {"injection": 1.0}


def test_a_calm_row_says_that_it_is_not_toxic_and_one_in_eight_what_else_it_is_not() -> None:
    rows = [known(Example(f"text {n}", 0, "user", source="clinc/banking")) for n in range(800)]
    calm = {"injection": 0.0} | dict.fromkeys(TOXICITY, 0.0)
    more = calm | dict.fromkeys(ABSENT, 0.0)
    assert all(row in (calm, more) for row in rows)
    assert 60 < sum(row == more for row in rows) < 140


def test_an_attack_in_eight_says_what_else_it_is_not_unless_it_plays_a_part_or_is_disguised() -> None:
    rows = [known(Example(f"text {n}", 1, "user", source="garak")) for n in range(800)]
    more = {"injection": 1.0} | dict.fromkeys(ABSENT, 0.0)
    assert 60 < rows.count(more) < 140
    for category in ("jailbreak_roleplay", "direct/obf_leet"):
        played = [known(Example(f"text {n}", 1, "user", category=category)) for n in range(80)]
        assert all(row == {"injection": 1.0} for row in played)


def test_a_row_of_further_heads_needs_no_label_but_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "refusal.jsonl"
    path.write_text('{"text": "I cannot do that.", "labels": {"refusal": 1}, "pair": "p"}\n')
    (row,) = labelled_rows(path)
    assert known(row) == {"refusal": 1.0}
    path.write_text('{"text": "x", "labels": {"refusals": 1}}\n')
    with pytest.raises(ValueError, match=r":1: label 'refusals' is none of .*refusal"):
        list(labelled_rows(path))


def test_a_row_of_another_task_says_nothing_about_injection() -> None:
    assert known(Example("x", UNKNOWN, "user", also=(("threat", 1.0),))) == {"threat": 1.0}


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        ({"label": 1}, {"toxicity": 1.0}),
        ({"label": 0}, dict.fromkeys(TOXICITY, 0.0)),
        ({"label": 0, "labels": {"toxicity": 0.3}}, dict.fromkeys(TOXICITY, 0.0) | {"toxicity": 0.3}),
        ({"label": 1, "labels": {"offensive": 0.9, "flirtation": 1}}, {"toxicity": 0.9}),
        ({"label": 0, "labels": {"toxicity": 0.8}}, {"toxicity": 0.8}),
    ],
)
def test_missing_shares_are_unknown_except_in_rows_that_are_not_toxic(
    row: dict[str, object], labels: dict[str, float]
) -> None:
    assert toxicity_labels(row) == labels


def test_hand_written_pairs_stay_on_one_side(tmp_path: Path) -> None:
    public, own = tmp_path / "toxicity.jsonl", tmp_path / "own"
    own.mkdir()
    public.write_text(json.dumps({"text": "bad words", "label": 1, "source": "a", "split": "train"}) + "\n")
    rows = [{"text": f"row {n}", "label": n % 2, "pair": f"p{n // 2}", "labels": {"threat": n % 2}} for n in range(60)]
    (own / "one.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = read_head_rows(public, [own], seed=1)
    held, trained = {row.pair for row in read.own_held_back}, {row.pair for row in read.train}
    assert held
    assert not held & trained
    assert {row.origin for row in read.train} == {"user", "external"}
    assert [answer for _, answer in shares(read.own_held_back, "threat")] == [int(toxic(r)) for r in read.own_held_back]


def test_rows_without_text_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "x", "label": 1}\n{"label": 1}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl:2: no text"):
        list(labelled_rows(path))
