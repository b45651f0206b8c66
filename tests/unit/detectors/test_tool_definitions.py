"""Every row of the table finds its good examples and not its bad ones."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.detectors.tool_definitions import ToolDefinitions
from guardrails_plugin.matching import Pattern
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

TABLE = load_table("tool_definitions")
DETECTOR = ToolDefinitions()


def rules(text: str) -> set[str]:
    (findings,) = DETECTOR.detect([normalize(Segment(text, Origin.EXTERNAL))], NO_CONTEXT)
    return {str(finding.evidence["rule"]) for finding in findings}


@pytest.mark.parametrize("pattern", TABLE, ids=lambda pattern: pattern.id)
def test_examples(pattern: Pattern) -> None:
    assert pattern.extra["good"]
    assert pattern.extra["bad"]
    for good in pattern.extra["good"]:
        assert pattern.id in rules(good), good
    for bad in pattern.extra["bad"]:
        assert pattern.id not in rules(bad), bad
