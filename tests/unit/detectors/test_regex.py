"""The user's own patterns: linear time, named entity types, and a clear refusal of what cannot be promised."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrails_plugin.detectors.regex import Regex
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment


def found(detector: Regex, text: str) -> list[tuple[str, str, float]]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return [(finding.entity_type, text[finding.start : finding.end], finding.score) for finding in findings]


@pytest.mark.parametrize(
    ("name", "entity_type"),
    [
        ("employee_id", "EMPLOYEE_ID"),
        ("Employee id", "EMPLOYEE_ID"),
        ("employeeId", "EMPLOYEE_ID"),
        ("case-no.", "CASE_NO"),
        ("TICKET", "TICKET"),
    ],
)
def test_names_become_entity_types(name: str, entity_type: str) -> None:
    detector = Regex(patterns={name: r"EMP-\d{4}"})
    assert detector.entity_types == {entity_type}
    assert found(detector, "é\u200b EMP-1234, EMP-12") == [(entity_type, "EMP-1234", 0.9)]


def test_group_value_selects_what_is_found() -> None:
    detector = Regex(patterns={"ref": r"ref[:=] ?(?P<value>[A-Z]{2}\d+)"}, score=0.4)
    assert found(detector, "日本 ref: AB12 and ref=CD3") == [("REF", "AB12", 0.4), ("REF", "CD3", 0.4)]


def test_case_counts_unless_told_otherwise() -> None:
    assert not found(Regex(patterns={"x": "zeus"}), "ZEUS")
    assert found(Regex(patterns={"x": "zeus"}, ignore_case=True), "ZEUS")


def test_found_behind_zero_width_characters_and_encodings() -> None:
    detector = Regex(patterns={"x": "project zeus"})
    assert found(detector, "pro\u200bject zeus") == [("X", "pro\u200bject zeus", 0.9)]
    assert found(detector, "see cHJvamVjdCB6ZXVzIG5vdw== there") == [("X", "cHJvamVjdCB6ZXVzIG5vdw==", 0.9)]


def test_several_patterns_overlap_freely() -> None:
    detector = Regex(patterns={"a": r"\d{4}", "b": r"x\d{4}"})
    assert found(detector, "x1234") == [("B", "x1234", 0.9), ("A", "1234", 0.9)]


@pytest.mark.parametrize("regex", [r"(?=a)b", r"(a)\1", r"(?<!a)b", r"a{1,5000}", "(", "[z-a]", r"(?>a)b"])
def test_what_re2_refuses_is_a_configuration_error_naming_the_pattern(regex: str) -> None:
    with pytest.raises(ValidationError, match=r"patterns\['mine'\]: regular expression refused"):
        Regex(patterns={"mine": regex})


@pytest.mark.parametrize("regex", ["", "a*", "a?", "(?:a|)", r"\b", "^", "$", "(?m)$", r"\B", "(?i)x*y*", r"\b|z"])
def test_patterns_that_match_nothing_are_refused(regex: str) -> None:
    with pytest.raises(ValueError, match="empty string"):
        Regex(patterns={"mine": regex})


@pytest.mark.parametrize(
    "settings", [{}, {"patterns": {}}, {"patterns": {"!": "x"}}, {"patterns": {"a": "x"}, "score": 2}, {"pattern": {}}]
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Regex(**settings)  # type: ignore[arg-type]


def test_catastrophic_patterns_take_linear_time() -> None:
    detector = Regex(patterns={"x": r"^(\w+\s?)*$x"})
    began = time.thread_time()
    found(detector, "a" * 100_000 + "!")
    assert time.thread_time() - began < 2


@given(st.text(max_size=200))
def test_never_raises_and_is_deterministic(text: str) -> None:
    detector = Regex(patterns={"a": r"\w+", "b": r"[^a-z]{2,}", "c": "."})
    assert found(detector, text) == found(detector, text)
