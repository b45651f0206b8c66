"""Law 5: more findings never lower a verdict; failures follow the recipe and are visible."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Context, Engine, Finding, GuardUnavailable, Recipe, Rule, Verdict
from guardrails_plugin.matching import Matcher
from guardrails_plugin.policy import Ruling, decide, verdict
from guardrails_plugin.types import Failure, Origin, Text

VERDICTS = {"report": Verdict.REPORT, "replace": Verdict.TRANSFORM, "block": Verdict.BLOCK}
RULING = Ruling("report", {"A": "block", "B": "replace", "C": "disabled"}, dict.fromkeys(Origin, 0.5), VERDICTS)

findings = st.builds(
    Finding,
    st.just("d"),
    st.sampled_from(["A", "B", "C", "D"]),
    st.floats(0, 1),
    st.just(0),
    st.just(1),
)


@given(st.lists(findings), findings)
def test_adding_a_finding_never_lowers_the_verdict(known: list[Finding], more: Finding) -> None:
    origins = {0: Origin.USER}
    before = verdict(decide(known, RULING, origins))
    assert verdict(decide([*known, more], RULING, origins)) >= before


@given(st.lists(findings), st.booleans())
def test_a_failure_never_lowers_the_verdict(known: list[Finding], blocks: bool) -> None:
    decisions = decide(known, RULING, {0: Origin.USER})
    assert verdict(decisions, [Failure("d", "ValueError", blocks)]) >= verdict(decisions)


class Broken:
    name = "broken"
    entity_types = frozenset({"X"})
    categories: ClassVar[dict[str, frozenset[str]]] = {}

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        if any("poison" in text.original for text in texts):
            raise ValueError(f"cannot read {texts[0].original}")
        return [[] for _ in texts]


def engine(on_error: Literal["block", "report"]) -> Engine:
    rule = Rule(detector="broken", on_error=on_error)
    return Engine(recipes=[Recipe(name="r", rules=[rule])], detectors={"broken": Broken()})


def test_a_failing_detector_blocks_by_default_and_says_so() -> None:
    result = engine("block").check("the poison 536-90-4399", stage="prompt", recipe="r")
    assert result.blocked
    assert result.output is None
    assert result.failures[0].failure == "ValueError"
    assert "failed" in result.summary
    with pytest.raises(GuardUnavailable) as raised:
        result.raise_for_block()
    assert "536-90" not in str(raised.value) + repr(raised.value) + repr(result)


def test_a_failing_detector_may_be_only_reported() -> None:
    result = engine("report").check("poison", stage="prompt", recipe="r")
    assert result.verdict is Verdict.REPORT
    assert result.output == "poison"


def test_one_bad_text_harms_only_itself_in_a_batch() -> None:
    results = engine("block").check_batch(["fine", "poison", "fine too"], stage="prompt", recipe="r")
    assert [result.blocked for result in results] == [False, True, False]


class Slow(Broken):
    name = "slow"

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        time.sleep(0.2)
        return [[] for _ in texts]


def test_a_detector_that_takes_too_long_counts_as_failed() -> None:
    slow = Recipe(name="r", rules=[Rule(detector="slow", timeout=0.02)])
    result = Engine(recipes=slow, detectors={"slow": Slow()}).check("x", stage="prompt", recipe="r")
    assert result.blocked
    assert result.failures[0].failure == "timed out"


def test_what_has_not_begun_by_the_deadline_counts_as_failed() -> None:
    rules = [Rule(detector="slow"), Rule(detector="slow", name="second", on_error="report")]
    slow = Recipe(name="r", rules=rules, deadline=0.1)
    result = Engine(recipes=slow, detectors={"slow": Slow()}).check("x", stage="prompt", recipe="r")
    assert result.verdict is Verdict.REPORT
    assert [(failure.detector, failure.failure) for failure in result.failures] == [("second", "deadline exceeded")]


def test_a_failure_at_the_second_look_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def match(self: Matcher, text: Text) -> Any:
        looks.append(text)
        if len(looks) > 1:
            raise ValueError("second look")
        return real(self, text)

    real = Matcher.match
    monkeypatch.setattr(Matcher, "match", match)
    recipe = Recipe(name="r", rules=[Rule(detector="pii", action="replace")])
    result = Engine(recipes=recipe).check("SSN 536-90-4399", stage="prompt", recipe="r")
    assert result.blocked
    assert result.failures[0].failure == "ValueError"
