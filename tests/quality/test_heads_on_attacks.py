"""An attack is no refusal, no question about self-harm, and no gibberish: heads learn what they are not, too.

The heads of version 0.6 had only seen calm texts beside their own, and took .9 of these attacks for refusals.
"""

from __future__ import annotations

import pytest

from guardrails_plugin.evaluation.datasets import read_rows
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin
from tests.quality.measure_injection import BLIND

LABELS = ("refusal", "role_play", "self_harm_instructions", "self_harm_intent", "threat", "gibberish")


@pytest.fixture(scope="module")
def attacks() -> list[Document]:
    paths = [path for name in ("injection", "injection_fourth") for path in sorted((BLIND / name).glob("*.jsonl"))]
    return [Document(row.text, row.origin or Origin.USER) for path in paths for row in read_rows(path) if row.label]


@pytest.mark.parametrize("label", LABELS)
def test_attacks_are_nothing_else(attacks: list[Document], label: str) -> None:
    encoder = load_encoder(EMBEDDED)
    limit = encoder.label_threshold("balanced", label)
    readings = encoder.read_labels(attacks, (label,))
    assert len(attacks) > 200
    assert sum(reading[label].probability >= limit for reading in readings) / len(attacks) < 0.02
