"""Nearest neighbours: what is like the examples scores high, what is like the counter-examples or neither does not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrails_plugin.detectors import meaning
from guardrails_plugin.detectors.similarity import Embedder, NgramEmbedder, Similarity
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

LAYOFFS = Similarity(
    examples=(
        "Which employees will be laid off in the next quarter?",
        "Show me the list of planned redundancies in the sales department.",
        "Who is going to lose their job when the office closes?",
    ),
    counter_examples=("Show me the list of employees in the sales department.",),
)

WORDS = Similarity(examples=LAYOFFS.examples, counter_examples=LAYOFFS.counter_examples, embedder=NgramEmbedder())


def found(detector: Similarity, text: str) -> list[Finding]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return list(findings)


def score(detector: Similarity, text: str) -> float:
    return max((finding.score for finding in found(detector, text)), default=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "Which employees will be laid off in the next quarter?",
        "Are any employees laid off next quarter, and which?",
        "List the planned redundancies for the sales department, please",
        "who will lose their job after the office closes",
        "WHICH EMPLOYEES WILL BE LAID OFF NEXT QUARTER",
        "Wh\u200bich emp\u200bloyees will be laid off in the next quarter?",
        "V2hpY2ggZW1wbG95ZWVzIHdpbGwgYmUgbGFpZCBvZmYgaW4gdGhlIG5leHQgcXVhcnRlcj8=",
    ],
)
def test_what_is_like_an_example_is_found(text: str) -> None:
    assert score(LAYOFFS, text) >= 0.5
    assert score(WORDS, text) >= 0.5


@pytest.mark.parametrize("text", ["Nobody here.", "", "?", "Show me the list of employees in the sales department."])
def test_a_paraphrase_without_shared_words_scores_above_what_is_unlike(text: str) -> None:
    assert score(LAYOFFS, "Will there be dismissals among our staff this spring?") > score(LAYOFFS, text)


def test_an_example_in_another_language_is_nearer_than_another_matter() -> None:
    german = score(LAYOFFS, "Welche Mitarbeiter werden im n\u00e4chsten Quartal entlassen?")
    assert german > score(LAYOFFS, "Wie wird das Wetter morgen in Lissabon?")


def test_nothing_is_embedded_before_the_first_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "load_encoder", lambda _: pytest.fail("loaded"))
    made = Similarity(examples=("a fine example",), counter_examples=("another",))
    assert found(made, "1234 5678 !?") == [], "what has no letters needs no model"


def test_a_window_scores_the_same_in_any_company() -> None:
    texts = ["Which employees will go?", "A boat on the lake.", "Where do tulips grow best?"] * 3
    together = LAYOFFS.detect([normalize(Segment(text, Origin.USER)) for text in texts], NO_CONTEXT)
    alone = [found(LAYOFFS, text) for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert [finding.score for finding in one] == pytest.approx([finding.score for finding in other], abs=2e-4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hi!",
        "Show me the list of employees in the sales department.",
        "What is the weather in Lisbon tomorrow?",
        "Write a poem about the sea in the style of a sailor.",
        "How do I sort a list in Python by two keys?",
        "Please translate this sentence into German.",
    ],
)
def test_what_is_not_or_is_like_a_counter_example_is_below(text: str) -> None:
    assert score(LAYOFFS, text) < 0.5
    assert score(WORDS, text) < 0.5


def test_a_near_miss_is_below_once_it_is_a_counter_example() -> None:
    near_miss = "What were the sales of the last quarter?"
    taught = Similarity(examples=LAYOFFS.examples, counter_examples=(*LAYOFFS.counter_examples, near_miss))
    assert score(taught, near_miss) < 0.5
    assert score(taught, "Are any employees laid off next quarter, and which?") >= 0.5


def test_the_finding_is_the_sentence() -> None:
    before = "The weather was lovely today and the garden is full of bees. " * 6
    wanted = "Which employees will be laid off in the next quarter? "
    (finding,) = found(LAYOFFS, before + wanted + before)
    assert finding.score > 0.5
    assert finding.start <= len(before) < finding.end <= len(before) + len(wanted) + 240


class Flat:
    """An embedder that knows one word."""

    similar_at = 0.5

    def embed(self, texts: Sequence[str], /) -> Any:
        return np.array([[1.0, 0.0] if "zebra" in text else [0.0, 1.0] for text in texts], dtype=np.float32)


def test_any_embedder_will_do() -> None:
    assert isinstance(Flat(), Embedder)
    detector = Similarity(examples=("zebra",), embedder=Flat())
    assert score(detector, "a zebra") > 0.99
    assert score(detector, "a horse") < 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"examples": ()},
        {"examples": ("!?",)},
        {"examples": ("fine words",), "embedder": 3},
        {"examples": ("a yes to it",), "embedder": NgramEmbedder()},
    ],
)
def test_wrong_settings_are_refused(settings: Any) -> None:
    with pytest.raises((ValidationError, ValueError)):
        Similarity(**settings)


def test_ten_times_the_text_takes_about_ten_times_as_long() -> None:
    def seconds(count: int) -> float:
        text = normalize(Segment("the quick brown fox jumps over the lazy dog. " * count, Origin.USER))
        began = time.thread_time()
        LAYOFFS.detect([text], NO_CONTEXT)
        return time.thread_time() - began

    seconds(50)
    assert min(seconds(2000) for _ in range(3)) < 20 * min(seconds(200) for _ in range(3))


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_rows_have_length_one_or_nothing_and_do_not_depend_on_each_other(texts: list[str]) -> None:
    rows = NgramEmbedder().embed(texts)
    lengths = np.linalg.norm(rows, axis=1)
    assert all(abs(length - 1) < 1e-4 or length == 0 for length in lengths)
    assert all(np.array_equal(NgramEmbedder().embed([text])[0], row) for text, row in zip(texts, rows, strict=True))


@given(st.text(max_size=300))
def test_any_text_has_valid_findings_twice_the_same(text: str) -> None:
    findings = found(LAYOFFS, text)
    assert findings == found(LAYOFFS, text)
    assert all(0 <= f.start <= f.end <= len(text) and 0 <= f.score <= 1 for f in findings)
