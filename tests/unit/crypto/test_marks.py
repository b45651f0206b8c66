"""Marks hide encrypted values and nothing else, and show them as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Engine, Keyring
from guardrails_plugin.crypto.fpe_context import FpeContext, open_
from guardrails_plugin.crypto.marks import Marks
from tests.strategies import NO_MODEL

_KEYRING = Keyring.generate()
_RESULT = Engine(keyring=_KEYRING).check(
    "SSN 536-90-4399, card 4111 1111 1111 1111",
    stage="prompt",
    overrides={**NO_MODEL, "pii": {"sensitive": "encrypt"}},
)
_SSN, _CARD = _RESULT.output[4:15], _RESULT.output[22:]


def opened() -> list[FpeContext]:
    assert _RESULT.fpe_context is not None
    return [open_(_RESULT.fpe_context, _KEYRING)]


def test_equal_values_have_equal_marks_and_others_stay() -> None:
    marks = Marks(opened())
    assert marks.hide([f"{_SSN} and {_CARD}", f"again {_SSN}, 536-90-4399"]) == [
        "⟦1⟧ and ⟦2⟧",
        "again ⟦1⟧, 536-90-4399",
    ]
    assert marks.show(["⟦2⟧⟦1⟧ ⟦3⟧"]) == [f"{_CARD}{_SSN} ⟦3⟧"]


@given(st.lists(st.lists(st.sampled_from([_SSN, _CARD, "⟦1⟧", "⟦2⟧", "⟦", " ", "a", "12"])).map(" ".join)))
def test_what_was_hidden_is_shown_again_whatever_marks_were_there(texts: list[str]) -> None:
    marks = Marks(opened())
    hidden = marks.hide(texts)
    assert not any(value in text for text in hidden for value in (_SSN, _CARD))
    assert marks.show(hidden) == texts
