"""Contents in and out: the shape stays, origins are right, nothing is changed in place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import ContentError, Origin, Segment
from guardrails_plugin.conversation import MAX_DEPTH, called, segments, substitute

OPENAI = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": [{"type": "text", "text": "U"}, {"type": "image_url", "image_url": {"url": "data:x"}}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "A"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "T"},
]
ANTHROPIC = {
    "model": "claude",
    "system": "S",
    "messages": [
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"q": "A"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "T"}]},
    ],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "S"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "U"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"q": "A"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"r": "T"}}}]},
    ],
}
MEANT = {"S": Origin.SYSTEM, "U": Origin.USER, "A": Origin.MODEL, '{"a": "A"}': Origin.MODEL, "T": Origin.EXTERNAL}


@pytest.mark.parametrize("content", [OPENAI, ANTHROPIC, GEMINI], ids=["openai", "anthropic", "gemini"])
class TestProviderMessages:
    def test_every_string_has_its_speakers_origin(self, content: Any) -> None:
        found = {s.text: s.origin for s in segments(content, Origin.USER) if s.text in MEANT}
        assert found == {text: origin for text, origin in MEANT.items() if text in found}
        assert {"S", "U", "T"} <= found.keys()

    def test_ids_roles_and_media_are_left_alone(self, content: Any) -> None:
        texts = {s.text for s in segments(content, Origin.USER)}
        assert not texts & {"user", "assistant", "tool", "c1", "t", "data:x", "tool_use", "tool_result"}

    def test_substituting_keeps_the_shape_and_the_input(self, content: Any) -> None:
        before = copy.deepcopy(content)
        found = segments(content, Origin.USER)
        same = substitute(content, [s.text for s in found])
        assert same == content
        assert same is not content
        changed = substitute(content, [f"<{s.text}>" for s in found])
        assert [s.text for s in segments(changed, Origin.USER)] == [f"<{s.text}>" for s in found]
        assert content == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(json_values)
def test_any_json_comes_back_as_it_went_in(content: Any) -> None:
    found = segments(content, Origin.USER)
    same = substitute(content, [s.text for s in found])
    assert same == content
    assert type(same) is type(content)


def test_field_names_are_hints() -> None:
    (segment,) = segments({"person": {"ssn": "536904399"}}, Origin.MODEL)
    assert segment.hint == "person ssn"


def test_long_numbers_are_guarded_as_text_short_ones_are_not() -> None:
    assert [s.text for s in segments({"a": 536904399, "b": 12, "c": True}, Origin.USER)] == ["536904399"]
    assert substitute({"a": 536904399}, ["<US_SSN>"]) == {"a": "<US_SSN>"}
    assert substitute({"a": 536904399}, ["536904399"]) == {"a": 536904399}


def test_long_keys_are_guarded_too() -> None:
    content = {"alice.doe@example.com": 1}
    assert substitute(content, ["<EMAIL>"]) == {"<EMAIL>": 1}


def test_two_keys_that_become_equal_are_refused_not_lost() -> None:
    content = {"alice.doe@example.com": 1, "bob.smith@example.com": 2}
    with pytest.raises(ContentError, match="became equal"):
        substitute(content, ["<EMAIL>", "<EMAIL>"])


def test_segments_say_where_they_come_from() -> None:
    assert segments([Segment("x", Origin.EXTERNAL, "h")], Origin.USER) == [Segment("x", Origin.EXTERNAL, "h")]
    assert substitute([Segment("x", Origin.EXTERNAL)], ["y"]) == ["y"]


@pytest.mark.parametrize("content", [b"bytes", object(), {1, 2}, [b"x"], {"a": {"b": object()}}])
def test_what_cannot_be_guarded_is_refused_with_the_valid_types(content: object) -> None:
    with pytest.raises(ContentError, match=r"cannot be guarded; valid: str"):
        segments(content, Origin.USER)


def test_nesting_has_a_limit_and_loops_end_there() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ContentError, match=f"deeper than {MAX_DEPTH}"):
        segments(loop, Origin.USER)
    deep: Any = "x"
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert [s.text for s in segments(deep, Origin.USER)] == ["x"]


CALLS = [
    {"name": "pay", "args": {"to": {"iban": "X"}, "amount": 5, "urgent": True, "shares": [1, 2]}},
    {"name": "pay", "arguments": {"urgent": True, "shares": [1, 2], "amount": 5, "to": {"iban": "X"}}},
    {"type": "tool_use", "name": "pay", "input": {"to": {"iban": "X"}, "amount": 5, "urgent": True, "shares": [1, 2]}},
]


class TestToolCalls:
    @pytest.mark.parametrize("call", CALLS)
    def test_strings_and_numbers_know_their_argument(self, call: Any) -> None:
        found = {s.text: s.part.argument for s in segments(call, Origin.MODEL) if s.part}
        assert found == {"pay": None, "X": "to.iban", "5": "amount"}

    def test_equal_calls_have_one_fingerprint_whatever_their_shape(self) -> None:
        written = {"function": {"name": "pay", "arguments": json.dumps(CALLS[0]["args"])}}
        parts = [called(call) for call in (*CALLS, written)]
        assert {part.tool for part in parts if part} == {"pay"}
        assert len({part.fingerprint if part else "" for part in parts}) == 1
        assert {s.part.fingerprint for s in segments(written, Origin.MODEL) if s.part} == {
            part.fingerprint for part in parts if part
        }

    @pytest.mark.parametrize("change", [{"urgent": False}, {"shares": [2, 1]}, {"amount": 6}, {"more": None}])
    def test_different_calls_have_different_ones(self, change: Any) -> None:
        given: Any = CALLS[0]["args"]
        one, other = called(CALLS[0]), called({"name": "pay", "args": {**given, **change}})
        assert one is not None
        assert other is not None
        assert one.fingerprint != other.fingerprint

    @pytest.mark.parametrize(
        "content",
        [
            "pay",
            None,
            {"name": "Ada", "input": "her words"},
            {"name": "Ada", "args": [1]},
            {"name": "", "args": {}},
            {"args": {"a": "x"}},
            {"name": "tool", "parameters": {"type": "object"}},
        ],
    )
    def test_what_only_looks_like_a_call_is_none(self, content: Any) -> None:
        assert called(content) is None
        assert not any(s.part for s in segments(content, Origin.MODEL))

    def test_an_amount_that_is_rewritten_becomes_a_string(self) -> None:
        call = {"name": "pay", "args": {"amount": 5, "n": 2}}
        assert substitute(call, ["pay", "5", "2"]) == call
        assert substitute(call, ["pay", "<A>", "2"]) == {"name": "pay", "args": {"amount": "<A>", "n": 2}}

    @pytest.mark.parametrize("arguments", ["{broken", {1: "a", "b": 2}, {"a": float("nan")}])
    def test_no_arguments_make_it_fail(self, arguments: Any) -> None:
        assert called({"name": "f", "arguments": arguments}) is not None
        segments({"name": "f", "arguments": arguments}, Origin.MODEL)
