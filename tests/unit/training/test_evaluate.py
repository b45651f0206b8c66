"""Numbers of the model card."""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin.training import evaluate
from guardrails_plugin.training.data import EXTERNAL, USER, Example

THRESHOLDS = {"balanced": {USER: 0.5, EXTERNAL: 0.8}}


def test_auc_counts_ties_half() -> None:
    assert evaluate.auc([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]) == pytest.approx(0.875)
    assert evaluate.auc([0.5, 0.5], [0, 1]) == 0.5
    assert evaluate.auc([0.5, 0.6], [1, 1]) is None


def test_each_text_is_held_to_the_threshold_of_its_origin() -> None:
    examples = [Example("a", 1, USER), Example("b", 1, EXTERNAL), Example("c", 0, USER), Example("d", 0, EXTERNAL)]
    (group,) = evaluate.by_group(examples, np.asarray([0.6, 0.6, 0.6, 0.6]), THRESHOLDS, lambda _: "all")
    assert (group.attacks, group.benign) == (2, 2)
    assert group.recall == {"balanced": 0.5}
    assert group.false_positives == {"balanced": 0.5}


def test_groups_without_a_label_show_no_rate() -> None:
    examples = [Example("a", 1, USER, lang="de"), Example("b", 0, USER, lang="fr")]
    groups = evaluate.by_group(examples, np.asarray([0.9, 0.1]), THRESHOLDS, lambda example: example.lang)
    assert [group.name for group in groups] == ["de", "fr"]
    assert groups[0].false_positives == {"balanced": None}
    assert "| de | 1 | 0 | - | 1.000 / - |" in evaluate.table(groups)


def test_small_groups_are_left_out() -> None:
    examples = [Example(str(n), 0, USER, lang="en" if n else "de") for n in range(5)]
    groups = evaluate.by_group(examples, np.zeros(5), THRESHOLDS, lambda example: example.lang, least=2)
    assert [group.name for group in groups] == ["en"]
