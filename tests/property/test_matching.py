"""Law 4: gate and window find exactly what every pattern, run alone over the whole text, finds."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given

from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.gate import samples
from guardrails_plugin.matching import Matcher, Pattern
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Origin, Segment
from tests.strategies import texts

TABLES = ("secrets", "pii", "malicious_url", "prompt_injection", "data_exfiltration")


def rows(name: str) -> tuple[Pattern, ...]:
    return load_table(name)


def alone(pattern: Pattern, views: list[bytes]) -> list[tuple[int, int]]:
    """The pattern over every view, without gate or window."""
    found = []
    for data in views:
        for match in pattern.compiled.finditer(data):
            own = match.span(pattern.value_group)
            start, end = own if own[0] >= 0 else match.span()
            found.append((len(data[:start].decode()), len(data[:end].decode())))
    return found


@pytest.mark.parametrize("use_hyperscan", [True, False])
@pytest.mark.parametrize("table", TABLES)
@given(text=texts)
def test_one_pass_equals_every_pattern_alone(table: str, use_hyperscan: bool, text: str) -> None:
    normal = normalize(Segment(text, Origin.USER))
    matches = matcher(table, use_hyperscan).match(normal).get("table", [])
    found = sorted((m.pattern.id, m.start, m.end) for m in matches)
    views = [view.text.encode() for view in normal.views]
    expected = sorted((p.id, *span) for p in rows(table) for span in alone(p, views))
    assert found == expected


_MATCHERS: dict[tuple[str, bool], Matcher] = {}


def matcher(table: str, use_hyperscan: bool) -> Matcher:
    key = (table, use_hyperscan)
    if key not in _MATCHERS:
        _MATCHERS[key] = Matcher({"table": rows(table)}, use_hyperscan=use_hyperscan)
    return _MATCHERS[key]


def test_what_hyperscan_overlooks_is_searched_for_everywhere() -> None:
    """Its engine misses this one behind thirty characters (5.4.12); the shortest sample of the gate shows it."""
    overlooked = r"(?:i|we)(?:\s{1,3}am)?\s{1,3}(?:just\s{1,3})?(?:can't|won't)"
    text = normalize(Segment("here is the summary you asked for. i can't help with that.", Origin.USER))
    pattern = Pattern(id="x", regex=overlooked, entity_type="X", score=0.9)
    for use_hyperscan in (True, False):
        matches = Matcher({"r": [pattern]}, use_hyperscan=use_hyperscan).match(text)["r"]
        assert [(match.start, match.end) for match in matches] == [(35, 42)]


def test_the_samples_of_a_gate_match_it() -> None:
    gates = [gated for name in ("secrets", "pii") for pattern in load_table(name) if (gated := pattern.gating)]
    rng = random.Random(1)
    for gated in gates[::7]:
        texts = (text for own in samples(gated.expression, 6, rng) for text in (own, b" " + own + b" "))
        assert any(re.search(gated.expression.encode(), text, re.IGNORECASE) for text in texts)
