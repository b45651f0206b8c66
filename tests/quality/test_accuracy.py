"""Accuracy on texts that nothing here was made with: the share judged rightly, attacks and innocent texts alike.

Project Rampart's documents claim 95 % for prompt injection and 93 % for personal data, on sets that are not published.
On ours (``data/blind``), as they stand:

- prompt injection at the thresholds of the stages: .955 of 420 (by language in the model card); the floor is .94.
- personal data of the six types that Rampart looks for (R44 to R49: e-mail, phone, SSN, card, IP address, URL): the
  claim's own terms, every entity under its very type and every innocent text; the floor is what is claimed.
- all personal data by entity: .88 of all entities and innocent texts, since names of people, of which the set has many,
  need a model that is not on by default; .98 of those of a type that ``pii`` looks for, under that very type.

Floors lie a little below, so that a worse detector is noticed and another machine's rounding is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from guardrails_plugin import Engine
from guardrails_plugin.evaluation.datasets import Row, read_rows
from guardrails_plugin.evaluation.evaluate import score_rows
from guardrails_plugin.types import Origin, Stage
from tests.quality.measure_blind import BLIND, Outcome, builtin_recipes, outcomes

_STAGES = {Origin.USER: Stage.PROMPT, Origin.EXTERNAL: Stage.INGESTION}
"""Where texts of these origins are judged first."""


def _threshold(engine: Engine, origin: Origin) -> float:
    """What the built-in recipe of the stage asks for."""
    stage = _STAGES.get(origin, Stage.PROMPT)
    rules = (rule for recipe in builtin_recipes() if recipe.name == recipe.stage == stage for rule in recipe.rules)
    given = next(rule.threshold[origin] for rule in rules if rule.detector == "prompt_injection")
    return engine.operating_point("prompt_injection", given, origin=origin) if isinstance(given, str) else given


def test_injection(engine: Engine) -> None:
    rows: list[Row] = [row for path in sorted((BLIND / "injection").glob("*.jsonl")) for row in read_rows(path)]
    scored = score_rows(engine, "prompt_injection", rows, Origin.USER, advance=lambda _: None)
    flagged = scored.scores >= scored.thresholds({origin: _threshold(engine, origin) for origin in Origin})
    labels = np.asarray([bool(row.label) for row in scored.rows])
    accuracy = (flagged == labels).mean()
    assert accuracy >= 0.94, f"{accuracy:.4f} of {len(labels)}"


@pytest.fixture(scope="module")
def personal() -> Sequence[Outcome]:
    return outcomes("pii")


@pytest.mark.parametrize(("measure", "floor"), [("", 0.85), ("right type, types it has", 0.95)])
def test_personal_data(personal: Sequence[Outcome], measure: str, floor: float) -> None:
    right = [one.found == one.label for one in personal if one.measure == measure or not one.label]
    accuracy = sum(right) / len(right)
    assert accuracy >= floor, f"{accuracy:.4f} of {len(right)}"


RAMPART = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "US_SSN", "CREDIT_CARD", "IP_ADDRESS", "URL_USERINFO"})
"""What the set has of the types that Rampart's documents name; of URLs, those that hold a login."""


def test_personal_data_of_the_types_that_rampart_names(personal: Sequence[Outcome]) -> None:
    own = [one for one in personal if not one.label or (one.measure and one.group in RAMPART)]
    accuracy = sum(one.found == one.label for one in own) / len(own)
    assert accuracy >= 0.93, f"{accuracy:.4f} of {len(own)}"
    recall = [one.found for one in own if one.label]
    assert sum(recall) / len(recall) >= 0.93, f"recall {sum(recall)} of {len(recall)}"
