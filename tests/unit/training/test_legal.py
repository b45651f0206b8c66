"""A model fitted on a few texts tells their classes apart, and survives packing."""

from __future__ import annotations

import random

import numpy as np

from guardrails_plugin.detectors.legal_model import features, pack, unpack
from guardrails_plugin.training.legal import _CONTRACT, _NDA, CLASSES, compose, fit


def test_fitted_and_packed() -> None:
    chooser = random.Random(3)
    rows = [("contracts", compose(_CONTRACT, chooser)) for _ in range(30)]
    rows += [("other", f"we had {word} and bread for lunch by the sea") for word in "soup fish rice beans".split() * 8]
    model = unpack(pack(CLASSES, *fit(rows, epochs=4)))
    contract = model.probabilities(compose(_CONTRACT, random.Random(99)))
    lunch = model.probabilities("there was fish and bread by the sea")
    assert sum(contract.values()) == 1 or abs(sum(contract.values()) - 1) < 1e-9
    assert max(contract, key=lambda name: contract[name]) == "contracts"
    assert max(lunch, key=lambda name: lunch[name]) == "other"


def test_composed_texts_are_filled_in_and_repeatable() -> None:
    text = compose(_NDA, random.Random(5))
    assert "{" not in text
    assert text == compose(_NDA, random.Random(5))


def test_features_have_length_one_and_nothing_has_none() -> None:
    _, values = features("One two two three")
    assert np.isclose((values**2).sum(), 1)
    assert len(features("12 34")[0]) == 0
