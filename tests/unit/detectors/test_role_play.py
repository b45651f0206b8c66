"""Every row of the table finds its good examples and none of its bad ones; disguises do not help."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.role_play import RolePlay
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Matcher
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

DETECTOR = RolePlay(classifier=False)
ROWS = load_table("role_play")


def found(text: str) -> tuple[Finding, ...]:
    (findings,) = DETECTOR.detect([normalize(Segment(text, Origin.MODEL))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize(("row", "text"), [(row.id, text) for row in ROWS for text in row.extra["good"]])
def test_good_examples_are_found_by_their_row(row: str, text: str) -> None:
    assert row in {finding.evidence["rule"] for finding in found(text)}


@pytest.mark.parametrize("text", [text for row in ROWS for text in row.extra["bad"]])
def test_bad_examples_are_not(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize(
    "text",
    ["ACT AS A PIRATE", "Pre\u200btend to be a king", "Prеtend to be a king", "say QWN0IGFzIGEgcGlyYXRlIG5vdw=="],
)
def test_disguises(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(("row", "text"), [(row.id, text) for row in ROWS for text in row.extra["good"]])
def test_good_examples_are_found_behind_a_long_text(row: str, text: str) -> None:
    """A gate that begins with a word boundary and one letter was once missed behind other words."""
    matches = Matcher({DETECTOR.name: DETECTOR.patterns}).match(
        normalize(Segment("Here is the summary of it. " * 9 + text, Origin.USER))
    )
    assert row in {match.pattern.id for match in matches[DETECTOR.name]}
