"""What a notebook shows, and what pickles and copies of a result hold: what was checked only where it is asked for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from guardrails_plugin import Engine, GuardBlocked, GuardResult, Verdict
from tests.strategies import NO_MODEL

SSN = "536-90-4399"
BLOCK = {**NO_MODEL, "pii": {"us_ssn": "block"}}


@pytest.fixture(scope="module")
def result(engine: Engine) -> GuardResult:
    return engine.check(f"<script>x</script> {SSN} of ann@example.com", stage="response", overrides=NO_MODEL)


def test_the_default_shows_what_goes_on_with_marks(result: GuardResult) -> None:
    shown = result._repr_html_()
    assert SSN not in shown
    assert "<script>" not in shown
    assert 'title="US_SSN">&lt;US_SSN&gt;</mark>' in shown
    assert 'title="EMAIL_ADDRESS">ann@example.com</mark>' in shown, "found, and left as it was"


def test_what_came_in_is_shown_on_request(result: GuardResult) -> None:
    shown = result.show(original=True)
    assert f'title="US_SSN">{SSN}</mark>' in shown._repr_html_()
    assert "<script>" not in shown._repr_html_()
    assert SSN not in repr(shown)
    assert result.show()._repr_html_() == result._repr_html_()


@pytest.mark.parametrize("content", [f"SSN {SSN}", {"messages": [f"SSN {SSN}"]}])
def test_a_block_shows_what_was_found_and_where(engine: Engine, content: Any) -> None:
    result = engine.check(content, stage="response", overrides=BLOCK)
    shown = result._repr_html_()
    assert SSN not in shown
    assert "US_SSN at 0:4-15 (0.95, block)" in shown
    assert SSN in result.show(original=True)._repr_html_()


@pytest.mark.parametrize(
    "copied",
    [lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_copies_are_without_what_was_checked(result: GuardResult, copied: Any) -> None:
    again = copied(result)
    assert (again.original, again.output, again.decisions) == (None, result.output, result.decisions)
    assert again == result
    assert SSN not in again.show(original=True)._repr_html_()
    assert result.original is not None


def test_no_pickle_or_dictionary_holds_it(result: GuardResult) -> None:
    assert SSN.encode() not in pickle.dumps(result)
    assert SSN not in str(asdict(result))
    assert SSN not in repr(result)
    assert "original" not in {field.name for field in fields(result)}


def test_a_changed_result_still_has_it_unless_taken_away(result: GuardResult) -> None:
    assert replace(result, verdict=Verdict.ALLOW).original == result.original
    assert replace(result, original=None).original is None


def test_an_error_has_the_result_without_it(engine: Engine) -> None:
    with pytest.raises(GuardBlocked) as caught:
        engine.check(
            SSN, stage="response", overrides={**NO_MODEL, "pii": {"action": "block", "sensitive": "block"}}
        ).raise_for_block()
    assert caught.value.result is not None
    assert caught.value.result.original is None
