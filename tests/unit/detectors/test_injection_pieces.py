"""Parts of a window: where a writer divides a text, inside the window, and smaller than it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.detectors.injection_pieces import pieces
from guardrails_plugin.types import Span

ONE, TWO, THREE = "The lift is out of order today.", "Please use the stairs instead.", "We are sorry for the trouble."


def read(text: str) -> list[str]:
    return [text[piece.start : piece.end].strip() for piece in pieces(text, Span(0, len(text)))]


def test_paragraphs_are_parts() -> None:
    assert read(f"{ONE} {TWO}\n\n{THREE}") == [f"{ONE} {TWO}", THREE]


def test_lines_are_parts_where_there_are_no_paragraphs() -> None:
    assert read(f"{ONE}\n{TWO}\n{THREE}") == [ONE, TWO, THREE]


@pytest.mark.parametrize("stop", [". ", "! ", "\u3002"])
def test_sentences_are_parts_where_there_are_no_lines(stop: str) -> None:
    text = stop.join(
        ["the first of four sentences", "another one of these four", "and the third of these", "the last one"]
    )
    runs = read(text)
    assert len(runs) > 1
    assert all(any(part in run for run in runs) for part in text.split(stop)[:-1])


def test_short_sentences_are_read_in_overlapping_runs() -> None:
    sentences = [f"Number {count} of them is here." for count in range(8)]
    runs = read(" ".join(sentences))
    assert all(2 <= run.count("Number") <= 4 for run in runs)
    assert all(any(sentence in run for run in runs) for sentence in sentences)


@pytest.mark.parametrize("text", ["", "One sentence which nothing divides", "a\n\nb\n\nc", "\n" * 500])
def test_what_nothing_divides_has_no_parts(text: str) -> None:
    assert read(text) == []


@given(st.text(st.sampled_from("ab .!\n\u3002"), max_size=300), st.integers(0, 300), st.integers(0, 300))
def test_parts_lie_inside_their_window_in_order(text: str, one: int, other: int) -> None:
    window = Span(*sorted((min(one, len(text)), min(other, len(text)))))
    found = pieces(text, window)
    assert all(window.start <= piece.start < piece.end <= window.end for piece in found)
    assert all(piece.end - piece.start < window.end - window.start for piece in found)
    assert found == sorted(found)
