"""Addresses are composed with their labels, and a model fitted on a few finds others."""

from __future__ import annotations

import random

import pytest

from guardrails_plugin.detectors.address_model import LABELS, pack, tokens, unpack
from guardrails_plugin.training.street_addresses import Names, compose, filled, fit, formats, names_of, near_miss

NAMES = Names(["Ada", "Ben"], ["Moss", "Hale", "Reed"], ["Elton", "Marsh"])
COUNTRIES = [code for code, country in formats().items() if "locale" in country]


@pytest.mark.parametrize("code", COUNTRIES)
def test_every_format_can_be_composed(code: str) -> None:
    chooser = random.Random(1)
    for _ in range(100):
        example = compose(code, NAMES, chooser, ["Something else."])
        assert set(example.labels.values()) <= set(LABELS[1:])
        assert {"street", "number"} & set(example.labels.values())
        assert not {"\0", "{N}", "<last>", "<word>"} & set(example.text)


def test_names_are_those_of_the_country_and_the_same_every_time() -> None:
    names = names_of("DE", count=5)
    assert names == names_of("DE", count=5)
    assert all(names.first + names.last + names.town)


def test_near_misses_have_no_labels() -> None:
    example = near_miss(dict.fromkeys(COUNTRIES, NAMES), random.Random(2))
    assert example.text
    assert not example.labels


def test_patterns_are_filled() -> None:
    value = filled("%# @&", random.Random(3))
    assert value[0] in "123456789"
    assert value[1].isdigit()
    assert value[3].isupper()
    assert value[4].islower()


def test_a_model_fitted_on_a_few_finds_others() -> None:
    chooser = random.Random(4)
    examples = [compose("US", NAMES, chooser, ["We met there."]) for _ in range(200)]
    examples += [near_miss(dict.fromkeys(COUNTRIES, NAMES), chooser) for _ in range(100)]
    model = unpack(pack(*fit(examples, rounds=30)))
    labels, inside = model.label(tokens("I live at 44 Oak Avenue, Elton, TX 75001"))
    assert [LABELS[label] for label in labels[3:6]] == ["number", "street", "street"]
    assert min(inside[3:]) > 0.5 > max(inside[:3])
