"""Texts taken apart beside the texts they were made of."""

from __future__ import annotations

from guardrails_plugin.training.data import UNKNOWN, USER, Example
from guardrails_plugin.training.scrambles import LABEL, scrambled

TEXTS = [
    Example("The boat leaves the harbour at noon and the crew sells tickets on board.", 0, USER, source="guide"),
    Example("Wann fährt das nächste Boot in die Stadt, bitte?", 0, USER, lang="de", source="guide"),
]


def test_every_text_stands_beside_what_was_made_of_it() -> None:
    made = list(scrambled(TEXTS, 50, seed=1))
    assert len(made) == 100
    for whole, apart in zip(made[::2], made[1::2], strict=True):
        assert whole.text in {row.text for row in TEXTS}
        assert apart.text != whole.text
        assert (whole.pair, whole.label, apart.label) == (apart.pair, UNKNOWN, UNKNOWN)
        assert (dict(whole.also), dict(apart.also)) == ({LABEL: 0.0}, {LABEL: 1.0})


def test_the_seed_decides() -> None:
    assert list(scrambled(TEXTS, 20, seed=1)) == list(scrambled(TEXTS, 20, seed=1))
    assert list(scrambled(TEXTS, 20, seed=1)) != list(scrambled(TEXTS, 20, seed=2))


def test_texts_of_few_words_are_left_alone() -> None:
    assert list(scrambled([Example("Thank you.", 0, USER)], 5, seed=1)) == []
