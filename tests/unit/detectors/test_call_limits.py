"""Loops and budgets: counted over the calls that the caller hands in, nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrails_plugin import Context, Engine, Recipe, Rule
from guardrails_plugin.conversation import segments
from guardrails_plugin.detectors.call_limits import CallLimits
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Origin


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"name": tool, "args": args}


def found(content: Any, calls: list[Any], **settings: Any) -> list[tuple[str, str]]:
    texts = [normalize(segment, number) for number, segment in enumerate(segments(content, Origin.MODEL))]
    per_text = CallLimits(**settings).detect(texts, Context(calls=calls))
    return [(f.entity_type, str(f.evidence["limit"])) for findings in per_text for f in findings]


SEARCH = call("search", query="guardrails", page=1)


@pytest.mark.parametrize(
    ("content", "calls", "settings", "expected"),
    [
        (SEARCH, [SEARCH] * 2, {"max_same": 3}, []),
        (SEARCH, [SEARCH] * 3, {"max_same": 3}, [("REPEATED_CALL", "max_same")]),
        (SEARCH, [SEARCH] * 9, {"max_same": None}, []),
        (SEARCH, [SEARCH] * 9, {"repeatable": ["sea*"]}, []),
        (SEARCH, [call("search", query="guardrails", page=n) for n in range(2, 9)], {}, []),
        (SEARCH, [call("find", query="guardrails", page=1)] * 9, {}, []),
        (
            SEARCH,
            [{"name": "search", "arguments": '{"page": 1, "query": "guardrails"}'}] * 3,
            {},
            [("REPEATED_CALL", "max_same")],
        ),
        (
            SEARCH,
            [{"type": "function", "function": {"name": "search", "arguments": json.dumps(SEARCH["args"])}}] * 3,
            {},
            [("REPEATED_CALL", "max_same")],
        ),
        (call("noop"), [call("noop")] * 3, {}, [("REPEATED_CALL", "max_same")]),
        (call("flip", on=True), [call("flip", on=False)] * 5, {}, []),
        (SEARCH, [call("a", n=n) for n in range(4)], {"max_calls": 5}, []),
        (SEARCH, [call("a", n=n) for n in range(5)], {"max_calls": 5}, [("CALL_BUDGET", "max_calls")]),
        (SEARCH, [call("search", n=n) for n in range(2)], {"per_tool": {"search": 2}}, [("CALL_BUDGET", "per_tool")]),
        (SEARCH, [call("a", n=n) for n in range(9)], {"per_tool": {"search": 2}}, []),
        (SEARCH, [], {"per_tool": {"SEARCH": 0}}, [("CALL_BUDGET", "per_tool")]),
        (SEARCH, ["no call", None, {"role": "user"}], {"max_calls": 1}, []),
        ({"role": "user", "content": "search"}, [SEARCH] * 99, {}, []),
        ("search", [SEARCH] * 99, {}, []),
    ],
)
def test_calls_are_counted(content: Any, calls: list[Any], settings: Any, expected: list[tuple[str, str]]) -> None:
    assert found(content, calls, **settings) == expected


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 3), st.integers(0, 6))
def test_a_call_is_over_exactly_when_there_were_as_many_equal_ones(before: list[int], now: int, most: int) -> None:
    over = found(call("t", n=now), [call("t", n=n) for n in before], max_same=most, max_calls=None)
    assert bool(over) == (before.count(now) >= most)


def test_it_blocks_in_a_recipe() -> None:
    engine = Engine(recipes=Recipe(name="loops", rules=[Rule(detector="call_limits", action="block")]))
    checked = [
        engine.check(SEARCH, stage="pre_tool", recipe="loops", context=Context(calls=[SEARCH] * n)).blocked
        for n in (0, 2, 3)
    ]
    assert checked == [False, False, True]


@pytest.mark.parametrize("settings", [{"max_calls": -1}, {"per_tool": {"x": -1}}, {"max": 3}])
def test_wrong_settings_are_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        CallLimits(**settings)
