"""Law 1: nothing of a transformed span survives, nothing else changes, order does not matter, twice finds nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails_plugin import Context, Engine, Keyring, Verdict
from guardrails_plugin.protocols import Call
from guardrails_plugin.registry import load
from guardrails_plugin.rewrite import clusters, rewrite
from guardrails_plugin.types import Decision, Finding
from tests.strategies import NO_MODEL, texts

ACTIONS = {name: load("actions", name)() for name in ("redact", "replace", "mask", "partial_mask")}


def transform_all(action: str) -> dict[str, dict[str, Any]]:
    changes: dict[str, dict[str, Any]] = {name: {"action": action} for name in ("secrets", "pii", "malicious_url")}
    changes["pii"] |= {"sensitive": action}
    # A label in place of an invisible character parts what it stood in, and so makes new words.
    changes["invisible_text"] = {"action": "redact"}
    return {**changes, **NO_MODEL}


@st.composite
def decided(draw: st.DrawFn) -> tuple[str, list[Decision]]:
    text = draw(st.text(min_size=1, max_size=60))
    spans = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=8))
    decisions = [
        Decision(
            Finding("d", draw(st.sampled_from(["A", "B"])), draw(st.sampled_from([0.5, 0.9])), min(span), max(span)),
            draw(st.sampled_from(sorted(ACTIONS))),
            Verdict.TRANSFORM,
        )
        for span in spans
    ]
    return text, decisions


def run(text: str, decisions: list[Decision]) -> str:
    return rewrite(text, clusters(text, decisions), ACTIONS, Call(lambda kind, value: 1))[0]


@given(decided())
def test_the_order_of_decisions_does_not_matter(case: tuple[str, list[Decision]]) -> None:
    text, decisions = case
    shuffled = random.Random(0).sample(decisions, len(decisions))
    assert run(text, decisions) == run(text, shuffled)


@given(decided())
def test_everything_outside_the_spans_stays_in_order(case: tuple[str, list[Decision]]) -> None:
    text, decisions = case
    spans = clusters(text, decisions)
    output, made = rewrite(text, spans, ACTIONS, Call(lambda kind, value: 1))
    kept, at, last = [], 0, 0
    for span, replacement in zip(spans, made, strict=True):
        assert output[at : replacement.start] == text[last : span.start]
        assert output[replacement.start : replacement.end] == replacement.text
        kept.append(replacement.text)
        at, last = replacement.end, span.end
    assert output[at:] == text[last:]


@pytest.mark.parametrize("action", ["replace", "redact", "mask"])
@given(text=texts)
def test_a_second_check_finds_nothing_more_to_do(engine: Engine, action: str, text: str) -> None:
    overrides = transform_all(action)
    first = engine.check(text, stage="response", overrides=overrides)
    second = engine.check(first.output, stage="response", overrides=overrides)
    assert [d.finding.entity_type for d in second.decisions if d.verdict is Verdict.TRANSFORM] == []
    assert second.output == first.output


@example(text=" ".join(["616c6963652e646f65406578616d706c652e636f6d"] * 2) + "GB29 NWBK 6016 1331 9268 19", tenant="")
@given(text=texts, tenant=st.text(max_size=5))
def test_unredact_turns_encryption_back(keyed: Engine, text: str, tenant: str) -> None:
    context = Context(tenant=tenant)
    overrides: dict[str, dict[str, Any]] = {**transform_all("encrypt"), "invisible_text": {"disabled": True}}
    result = keyed.check(text, stage="response", overrides=overrides, context=context)
    if result.fpe_context is None:
        assert result.output == text
    else:
        assert keyed.unredact(result.output, result.fpe_context, tenant=tenant) == text


@pytest.fixture(scope="module")
def keyed() -> Engine:
    return Engine(keyring=Keyring.generate())


@pytest.mark.parametrize("separator", [" ", ", ", "\t", " and ", ";"])
def test_values_beside_each_other_are_all_found(engine: Engine, separator: str) -> None:
    text = separator.join(["536-90-4399", "4111 1111 1111 1111", "536-90-4398", "536-90-4397"])
    output = engine.check(text, stage="response", overrides=NO_MODEL).output
    assert output == separator.join(["<US_SSN>", "<CREDIT_CARD>", "<US_SSN>", "<US_SSN>"])


def test_an_invisible_character_inside_a_value_does_not_decide_what_becomes_of_it(engine: Engine) -> None:
    overrides = {**NO_MODEL, "invisible_text": {"action": "redact"}}
    result = engine.check("SSN 536-\u200b90\u200b-4399", stage="response", overrides=overrides)
    assert result.output == "SSN <US_SSN>"
