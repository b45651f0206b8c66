"""Presidio's operators serve as actions of a recipe."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from guardrails_plugin import Engine, Recipe
from guardrails_plugin.actions.presidio import Presidio
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding

pytestmark = pytest.mark.skipif(find_spec("presidio_anonymizer") is None, reason="extra: presidio")

CALL = Call(lambda kind, value: 1)
FINDING = Finding("d", "US_SSN", 1.0, 0, 1)


@pytest.mark.parametrize(
    ("operator", "params", "expected"),
    [
        ("replace", {}, "<US_SSN>"),
        ("replace", {"new_value": "gone"}, "gone"),
        ("redact", {}, ""),
        ("mask", {"masking_char": "*", "chars_to_mask": 3, "from_end": False}, "***-44"),
        ("custom", {"lambda": lambda value: value[::-1]}, "44-217"),
    ],
)
def test_operators(operator: str, params: dict[str, Any], expected: str) -> None:
    assert Presidio(operator, params).apply("712-44", FINDING, CALL) == expected


@pytest.mark.parametrize("operator", ["keep", "surrogate_ahds", "nope"])
def test_operators_that_hide_nothing_or_use_the_network_are_refused(operator: str) -> None:
    with pytest.raises(ConfigError, match="valid: custom, encrypt"):
        Presidio(operator)


def test_wrong_parameters_are_refused_without_quoting_them() -> None:
    with pytest.raises(ConfigError, match="given: key") as caught:
        Presidio("encrypt", {"key": "short-secret"})
    assert "short-secret" not in str(caught.value)


def test_in_a_recipe() -> None:
    action = Presidio("mask", {"masking_char": "#", "chars_to_mask": 100, "from_end": False}, name="hashes")
    recipe = Recipe(name="r", rules=[{"detector": "pii", "action": "hashes"}])  # type: ignore[list-item]
    result = Engine(recipes=[recipe], actions={"hashes": action}).check(
        "mail a@example.com", stage="prompt", recipe="r"
    )
    assert result.output == "mail #############"
