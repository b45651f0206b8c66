"""What a notebook shows, and what pickles and copies of a result hold: what was checked only where it is asked for."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from guardrails_plugin import Engine, Finding, GuardBlocked, GuardResult, Stage, Verdict
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


def test_a_terminal_shows_the_same_in_brackets(result: GuardResult) -> None:
    first, shown = str(result.show()).splitlines()
    assert first.startswith("TRANSFORM at response (recipe response, ")
    assert shown == "<script>x</script> [<US_SSN>|US_SSN] of [ann@example.com|EMAIL_ADDRESS]"
    assert f"[{SSN}|US_SSN]" in str(result.show(original=True))


def test_what_came_in_is_read_as_it_was_checked(engine: Engine) -> None:
    content = {"role": "user", "content": [{"id": "m-1", "text": f"SSN {SSN}"}]}
    for stage in Stage:
        shown = str(engine.check(content, stage=stage, overrides=NO_MODEL).show(original=True))
        assert f"[{SSN}|US_SSN]" in shown


def test_a_result_is_one_short_line(engine: Engine, result: GuardResult) -> None:
    assert repr(result) == str(result) == "<GuardResult TRANSFORM at response: 1 US_SSN, 1 EMAIL_ADDRESS, changed>"
    assert repr(engine.check("hello", stage="response", overrides=NO_MODEL)) == (
        "<GuardResult ALLOW at response: nothing found>"
    )
    many = replace(result, findings=tuple(Finding("d", f"A_TYPE_WITH_A_LONG_NAME_{n}", 1, 0, 1) for n in range(999)))
    assert len(repr(many)) <= 120


def test_an_engine_says_how_much_it_knows(engine: Engine) -> None:
    assert re.fullmatch(r"<Engine with \d+ recipes and \d+ detectors>", repr(engine))


CONTENT = {"messages": [{"role": "user", "content": f"SSN {SSN}"}], "ann@example.com": [f"SSN {SSN}"]}


def test_plain_data_has_the_field_of_a_finding_and_no_value_unasked(engine: Engine) -> None:
    result = engine.check(CONTENT, stage="response", overrides=NO_MODEL)
    plain = json.loads(json.dumps(result.to_dict()))
    assert (plain["verdict"], plain["output"]["messages"][0]["content"]) == ("transform", "SSN <US_SSN>")
    places = [(one["type"], one["path"], one["start"]) for one in plain["findings"]]
    assert places == [("US_SSN", "/messages/0/content", 4), ("EMAIL_ADDRESS", "", 0), ("US_SSN", "/*/0", 4)]
    assert SSN not in str(plain)
    assert [one["value"] for one in result.to_dict(values=True)["findings"]] == [SSN, "ann@example.com", SSN]


def test_rows_are_flat_and_a_copys_are_without_field_and_value(engine: Engine) -> None:
    result = engine.check(CONTENT, stage="response", overrides=NO_MODEL)
    assert {(row["id"], row["stage"], row["verdict"]) for row in result.rows()} == {
        (result.id, "response", "transform")
    }
    assert [result.path(finding) for finding in result.findings] == [row["path"] for row in result.rows()]
    copied = copy.copy(result)
    assert [(row["type"], row["path"], row["value"]) for row in copied.rows(values=True)] == [
        ("US_SSN", None, None),
        ("EMAIL_ADDRESS", None, None),
        ("US_SSN", None, None),
    ]


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
