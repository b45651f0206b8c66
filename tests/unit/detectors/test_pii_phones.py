"""Phone numbers against the numbering plans: blocks that exist stay, those that fit by length alone go."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors import pii_phones
from guardrails_plugin.detectors.examples import expand
from guardrails_plugin.detectors.pii import Pii
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

FICTION = {"«07700 900123»", "«07700 900 123»", "«01632 960123»", "text «07700900123» tonight"}
"""Ofcom keeps these blocks for films: in no plan."""

GOOD = [expand(text) for row in load_table("pii") if "region" in row.extra for text in row.extra["good"]]
UNASSIGNED = [
    "+1 999 555 2671",
    "+44 1000 000000",
    "+999 123456789",
    "+49 1 2345678",
    "+91 11111 22222",
    "+34 111 222 333",
    "0044 1000 000000",
    "ours: 287-555-2671",
    "(555) 555-1234",
    "024 5555 5555",
]


def phones(text: str, *, verify: bool) -> list[str]:
    detector = Pii(entities=("PHONE_NUMBER",), verify_phones=verify)
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return [text[finding.start : finding.end] for finding in findings]


@pytest.mark.parametrize("text", sorted(set(GOOD) - FICTION))
def test_numbers_of_a_plan_stay(text: str) -> None:
    value = text[text.index("«") + 1 : text.index("»")]
    assert value in phones(text.replace("«", "").replace("»", ""), verify=True)


@pytest.mark.parametrize("text", UNASSIGNED)
def test_numbers_that_only_fit_by_length_go(text: str) -> None:
    assert phones(text, verify=False)
    assert not phones(text, verify=True)


def test_a_word_of_context_speaks_for_a_number_whose_country_is_unknown() -> None:
    assert phones("phone: 287 555 2671", verify=True) == ["287 555 2671"]


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    pii_phones._library.cache_clear()
    yield
    pii_phones._library.cache_clear()


@pytest.mark.usefixtures("without_the_extra")
def test_a_missing_extra_is_named_and_only_missed_when_asked_for() -> None:
    with pytest.raises(ValidationError, match=r"guardrails-plugin\[phones\]"):
        Pii(verify_phones=True)
    assert phones("+44 1000 000000", verify=False) == ["+44 1000 000000"]
