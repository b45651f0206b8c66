"""Law 4: gate and window find exactly what every pattern, run alone over the whole text, finds."""

from __future__ import annotations

import pytest
from hypothesis import given

from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Matcher, Pattern
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Origin, Segment, Text
from tests.strategies import texts

TABLES = ("secrets", "pii", "malicious_url", "prompt_injection")


def rows(name: str) -> tuple[Pattern, ...]:
    return load_table(name)


def alone(pattern: Pattern, text: Text) -> list[tuple[int, int]]:
    """The pattern over every view, without gate or window."""
    found = []
    for view in text.views:
        data = view.text.encode()
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
    expected = sorted((p.id, *span) for p in rows(table) for span in alone(p, normal))
    assert found == expected


_MATCHERS: dict[tuple[str, bool], Matcher] = {}


def matcher(table: str, use_hyperscan: bool) -> Matcher:
    key = (table, use_hyperscan)
    if key not in _MATCHERS:
        _MATCHERS[key] = Matcher({"table": rows(table)}, use_hyperscan=use_hyperscan)
    return _MATCHERS[key]
