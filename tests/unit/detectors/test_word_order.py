"""Pairs of words that people put in a row weigh against disorder, others for it."""

from __future__ import annotations

from guardrails_plugin.detectors.word_order import load_word_order, tokens


def bits(text: str) -> float:
    found = load_word_order().disorder(text)
    return 0.0 if found is None else found.bits


def test_words_thrown_together_weigh_more_than_the_same_in_order() -> None:
    assert bits("to my yesterday the of went sister and with shop a in they bought") > 10
    assert bits("my sister went to the shop yesterday and bought a loaf of bread with them") < 4


def test_signs_and_numbers_speak_only_for_order() -> None:
    assert bits("of | the | in | 4 | to | and | 5 | with") == 0


def test_other_languages_are_not_judged() -> None:
    assert load_word_order().disorder("gaur goizean liburutegira joan naiz baina itxita zegoen") is None


def test_sentences_are_divided_once_and_words_are_lower_case() -> None:
    assert [token.text for token in tokens("It\u2019s on!?\n 7 a-b")] == ["it's", "on", ".", "0", "a", "~", "b"]
