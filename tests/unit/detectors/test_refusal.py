"""Every row of the table finds its good examples and none of its bad ones; disguises do not help."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.refusal import Refusal
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Matcher
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

DETECTOR = Refusal(classifier=False)
ROWS = load_table("refusal")


def found(text: str) -> tuple[Finding, ...]:
    (findings,) = DETECTOR.detect([normalize(Segment(text, Origin.MODEL))], NO_CONTEXT)
    return tuple(findings)


def test_a_refusal_in_quotation_marks_is_somebody_else() -> None:
    told = found('Here is your dialogue. The guard says: "I am sorry, but I cannot help with that."')
    assert {finding.evidence["place"] for finding in told} == {"quotation"}
    assert all(finding.score < 0.5 for finding in told)
    assert any(finding.score >= 0.5 for finding in found('"I am sorry, but I cannot help with that."'))


@pytest.mark.parametrize(("row", "text"), [(row.id, text) for row in ROWS for text in row.extra["good"]])
def test_good_examples_are_found_by_their_row(row: str, text: str) -> None:
    assert row in {finding.evidence["rule"] for finding in found(text)}


@pytest.mark.parametrize("text", [text for row in ROWS for text in row.extra["bad"]])
def test_bad_examples_are_not(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize(
    "text", ["I CAN'T HELP WITH THAT", "I c\u200ban't help with that", "I can\u2019t  help\nwith that"]
)
def test_disguises(text: str) -> None:
    assert found(text)


def test_a_refusal_at_the_beginning_is_surer_than_one_further_in() -> None:
    (first,) = found("I can't help with that.")
    (late,) = found("Here is the summary that you asked for. " * 10 + "Beyond that I can't provide legal opinions.")
    assert first.score > late.score
    assert (first.evidence["place"], late.evidence["place"]) == ("opening", "within")


@pytest.mark.parametrize(("row", "text"), [(row.id, text) for row in ROWS for text in row.extra["good"]])
def test_good_examples_are_found_behind_a_long_text(row: str, text: str) -> None:
    """A gate that begins with a word boundary and one letter was once missed behind other words."""
    matches = Matcher({DETECTOR.name: DETECTOR.patterns}).match(
        normalize(Segment("Here is the summary of it. " * 9 + text, Origin.USER))
    )
    assert row in {match.pattern.id for match in matches[DETECTOR.name]}
