"""Texts that a machine garbled are told by kind; code, formulas, identifiers and drawings are none."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.garbled import garbled


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("pl3ase c@ll th€ 0ffice ab0ut y0ur p@rcel", "words"),
        ("gT4$k nB!7q Wz#92c p&3Lm xx9^T", "words"),
        ("das schÃ¶ne MÃ¤dchen fÃ¤hrt Ã¼ber die BrÃ¼cke".encode().decode("cp1252", "replace"), "encoding"),
        ("\ufffd\ufffd\ufffd a\ufffd\ufffd \ufffd\ufffd", "lost"),
        ("ŧøŋđ ħĸł þð æßµ", "keys"),
        ("~; ^ = .. _| #' -- ,; ¬ |~ .^ =# _- ;,", "signs"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    found = garbled(text)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my p@ssw0rd is weak",
        "gr8 b2b k8s i18n mp3",
        "if (a[i] != b[j]) { x = y; } else { z = w; }",
        "Qh5 Nf6 Bc4 O-O Rxe8+ Kg7",
        "SKU 7XK-22B, LOT 0483-RT, EXP 11/27",
        "+-----+-----+ | a | b | +-----+-----+ | c | d | +-----+",
        "¯\\_(ツ)_/¯ :-) ;-)",
        "Où est le café? À côté, près de la forêt.",
    ],
)
def test_near_misses(text: str) -> None:
    assert garbled(text) is None
