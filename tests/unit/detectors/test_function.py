"""A detector of one function: places are mapped to the original, wrong ones are a failure, streams know its reach."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

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


def test_matches_are_places() -> None:
    result = engine(FunctionDetector("orders", "ORDER", lambda text: re.finditer(r"AC-\d{3}", text))).check(
        "my AC\u200b-123", stage="prompt", recipe="desk"
    )
    assert result.output == "my <ORDER>"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([(0, 99)], "returned a place outside the text"),
        ([(-1, 2)], "returned a place outside the text"),
        ([(3, 2)], "returned a place outside the text"),
        ([(0, 1, 1.5)], "returned a score outside 0..1"),
        (["abcd"], r"returned str in place of (start, end), (start, end, score) or a re.Match"),
        ([("a", 2)], "returned tuple in place of (start, end)"),
        ((0, 3), "returned int in place of (start, end)"),
        (None, "returned NoneType in place of a list of (start, end)"),
    ],
)
def test_what_is_no_place_is_a_failure_that_says_what_is_valid(found: Any, said: str) -> None:
    result = engine(FunctionDetector("orders", "ORDER", lambda _: found)).check("abcd", stage="prompt", recipe="desk")
    assert result.reasons[0].startswith(f"orders: failed ({said}")
    assert result.failures[0].where == ""


def raising(text: str) -> Iterable[tuple[int, int]]:
    return [(int(text), 1)]


def decoding(text: str) -> Iterable[tuple[int, int]]:
    return [json.loads(text)]


@pytest.mark.parametrize("find", [raising, decoding, lambda text: ((int(text), 1) for _ in "a")])
def test_a_failure_says_where_in_ones_own_code_but_not_what_was_read(
    find: Callable[[str], Iterable[tuple[int, int]]], caplog: pytest.LogCaptureFixture
) -> None:
    result = engine(FunctionDetector("orders", "ORDER", find)).check("536-90-4399", stage="prompt", recipe="desk")
    (failure,) = result.failures
    assert re.fullmatch(r"test_function\.py:\d+ in (raising|decoding|<genexpr>)", failure.where)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.name == "guardrails_plugin"
    assert record.getMessage() == f"detector 'orders' failed: {failure.failure} at {failure.where}"
    assert "536" not in caplog.text + repr(result)


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
