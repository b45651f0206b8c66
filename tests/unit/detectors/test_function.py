"""A detector of one function: places are mapped to the original, wrong ones are a failure, streams know its reach."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from guardrails_plugin import ConfigError, Engine, Recipe, Rule
from guardrails_plugin.detectors.function import FunctionDetector
from guardrails_plugin.protocols import Detector


def orders(text: str) -> Iterable[tuple[int, int]]:
    return (match.span() for match in re.finditer(r"AC-\d{3}", text))


def engine(detector: FunctionDetector, **rule: object) -> Engine:
    data = {"detector": "orders", "action": "replace", **rule}
    return Engine(detectors={"orders": detector}, recipes=[Recipe(name="desk", rules=[Rule.model_validate(data)])])


def test_it_is_a_detector() -> None:
    assert isinstance(FunctionDetector("orders", "ORDER", orders), Detector)


def test_places_are_those_of_the_original() -> None:
    result = engine(FunctionDetector("orders", "ORDER", orders)).check(
        "x\u200b\u200b A\u200bC-123 y", stage="prompt", recipe="desk"
    )
    assert result.output == "x\u200b\u200b <ORDER> y"


def test_scores_are_the_rules_business() -> None:
    guard = engine(FunctionDetector("orders", "ORDER", lambda _: [(0, 1, 0.4), (2, 3, 0.6), (4, 5)], score=0.7))
    result = guard.check("a b c", stage="prompt", recipe="desk", debug=True)
    assert [finding.score for finding in result.findings] == [0.6, 0.7]
    assert result.raw is not None
    assert len(result.raw) == 3


@pytest.mark.parametrize("place", [(0, 99), (-1, 2), (3, 2), (0, 1, 1.5)])
def test_a_place_outside_the_text_is_a_failure(place: tuple[int, int]) -> None:
    result = engine(FunctionDetector("orders", "ORDER", lambda _: [place])).check("abcd", stage="prompt", recipe="desk")
    assert result.reasons == ("orders: failed (ValueError)",)


def test_a_stream_releases_with_a_reach_and_waits_without() -> None:
    text = "first words, then AC-123, then many other words that go on and on and on"
    for reach, early in ((6, True), (None, False)):
        stream = engine(FunctionDetector("orders", "ORDER", orders, reach=reach)).stream(recipe="desk")
        parts = [stream.feed(char) for char in text]
        assert bool("".join(parts)) is early
        assert "".join(parts) + stream.finish() == text.replace("AC-123", "<ORDER>")


@pytest.mark.parametrize(("entity_type", "score"), [("order", 0.9), ("", 0.9), ("ORDER", 1.5)])
def test_what_cannot_be_is_refused(entity_type: str, score: float) -> None:
    with pytest.raises(ConfigError, match="detector 'orders': "):
        FunctionDetector("orders", entity_type, orders, score=score)
