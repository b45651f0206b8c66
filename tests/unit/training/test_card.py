"""The card says what was done, and nothing that was not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from guardrails_plugin.training import card
from guardrails_plugin.training.data import EXTERNAL, USER, Example

ROWS = [
    Example("one", 1, USER, lang="en", pair="p1"),
    Example("two", 0, USER, lang="en", pair="p1"),
    Example("drei", 0, EXTERNAL, lang="de", pair="p2"),
    Example("four", 0, "model", lang="en", pair="p3"),
]


def facts(**changes: Any) -> card.Facts:
    scored = (ROWS, np.asarray([0.9, 0.1, 0.2, 0.1]))
    loss: Any = SimpleNamespace(rows=4, largest=0.1, mean=0.1, correlation=0.999, small=True, warning="it differs")
    limits = {point: dict.fromkeys((USER, EXTERNAL, "model"), 0.5) for point in ("strict", "balanced", "permissive")}
    settings = {"id": "m", "version": "1", "backbone": "b", "licence": "l", "window_tokens": 124, "stride_tokens": 90}
    given = card.Facts(
        settings=settings | {"thresholds": limits},
        trained_on=ROWS * 4,
        written=ROWS[:3],
        held_back=ROWS[3:],
        further=[],
        results={card.OWN: scored, card.DEV: scored},
        labels=[],
        loss=loss,
        mixture={"seed": 17},
        loop={"epochs": 2, "minutes": None},
        run={},
        kept=[],
        twins_flagged=0.06,
        command="guardrails-plugin train --own rows --out out",
    )
    return replace(given, **changes)


def test_hand_written_rows_are_counted_once() -> None:
    table = card.written_table(ROWS[:3], ROWS[3:])
    assert "| user | 1 | 1 | 0 | 1 |" in table
    assert "| model | 0 | 1 | 1 | 1 |" in table
    assert "| all | 1 | 3 | 1 | 2 |" in table
    assert table in card.model_card(facts())


def test_the_command_line_is_the_one_that_was_used() -> None:
    assert "`guardrails-plugin train --own rows --out out`" in card.model_card(facts())


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({}, ["fitted the calibration of origin user and external", "no lower than where 6%"], ["Too few", "blind"]),
        ({"kept": [USER]}, ["Too few of origin user", "calibration of origin external"], []),
        ({"kept": [USER, EXTERNAL]}, ["Too few of origin user and external"], ["fitted the calibration", "twins"]),
        ({"results": {card.OWN: (ROWS, np.zeros(4))}}, [], ["twins are flagged"]),
        ({"results": {card.BLIND: (ROWS, np.zeros(4))}}, ["set by the rows under 'blind'"], ["twins are flagged"]),
    ],
)
def test_what_was_fitted_is_said_as_it_was(changes: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    text = card.how_measured(facts(**changes))
    assert [part for part in said if part not in text] == []
    assert [part for part in unsaid if part in text] == []


def test_the_end_of_a_run_is_said_as_it_was() -> None:
    assert "minutes, whichever" not in card.how_made(facts())
    assert "or 20 minutes, whichever" in card.how_made(facts(loop={"epochs": 2, "minutes": 20}))
    assert "mean of those of 3 finished runs" in card.how_made(facts(runs=3))


def test_a_loss_by_rounding_is_a_warning_in_the_card() -> None:
    assert "Warning" not in card.model_card(facts())
    loss: Any = SimpleNamespace(rows=4, largest=3.0, mean=1.0, correlation=0.9, small=False, warning="it differs")
    assert "**Warning: it differs.**" in card.model_card(facts(loss=loss))


def test_weaknesses_name_no_data_of_one_run() -> None:
    for word in ("dev file", "twins are flagged", "hand-written here", "composer"):
        assert word not in card.WEAKNESSES
