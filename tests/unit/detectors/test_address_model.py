"""The conditional random field labels by its weights and steps, and survives packing."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from guardrails_plugin.detectors.address_model import (
    BUCKETS,
    LABELS,
    AddressModel,
    candidates,
    features,
    pack,
    tokens,
    unpack,
)


def random_model(seed: int) -> AddressModel:
    chance = np.random.default_rng(seed)
    return AddressModel(chance.normal(size=(BUCKETS, len(LABELS))) / 3, chance.normal(size=(len(LABELS), len(LABELS))))


@pytest.mark.parametrize("seed", range(3))
def test_the_best_labelling_and_the_probabilities_are_those_of_all_labellings(seed: int) -> None:
    model, row = random_model(seed), tokens("12 Oak St, Boise")
    emissions = np.array([model.weights[own].sum(axis=0) for own in features(row)])
    sums = {
        path: sum(emissions[at, label] for at, label in enumerate(path))
        + sum(model.steps[one, other] for one, other in pairwise(path))
        for path in product(range(len(LABELS)), repeat=len(row))
    }
    whole = sum(map(np.exp, sums.values()))
    labels, inside = model.label(row)
    assert tuple(labels) == max(sums, key=lambda path: sums[path])
    for at, probability in enumerate(inside):
        assert probability == pytest.approx(sum(np.exp(s) for path, s in sums.items() if path[at]) / whole)


def test_nothing_has_no_labels() -> None:
    assert random_model(0).label([]) == ([], [])


def test_packing_rounds_weights_to_eight_bits() -> None:
    model = random_model(4)
    back = unpack(pack(model.weights, model.steps))
    assert np.abs(back.weights - model.weights).max() <= np.abs(model.weights).max() / 127
    assert (back.steps == model.steps).all()


def test_characters_written_without_spaces_are_tokens() -> None:
    assert [token.word for token in tokens("梅田1丁目3-1 Grand")] == ["梅", "田", "1", "丁", "目", "3-1", "Grand"]


def test_tokens_stand_where_they_say() -> None:
    text = 'a {"street": "N6W2 King\'s Rd."}'
    assert all(text[token.start : token.end] == token.word for token in tokens(text))
    assert "".join(token.gap + token.word for token in tokens(text)) == text.removesuffix('."}')


def test_only_what_is_near_a_number_is_looked_at() -> None:
    row = tokens("word " * 50 + "7 " + "word " * 100 + "8")
    assert list(candidates(row)) == [(36, 65), (137, 152)]
    assert list(candidates(tokens("no number at all"))) == []


def test_one_number_of_a_length_is_like_another() -> None:
    assert features(tokens("12 Oak St")) == features(tokens("98 Oak St"))
