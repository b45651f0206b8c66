"""English texts get a label with its compound; others none."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec

import pytest
from pydantic import ValidationError

from guardrails_plugin import Engine, Recipe
from guardrails_plugin.detectors import sentiment as module
from guardrails_plugin.detectors.sentiment import Sentiment
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment, Verdict

pytestmark = pytest.mark.skipif(find_spec("vaderSentiment") is None, reason="extra: sentiment")


def found(text: str, detector: Sentiment | None = None) -> tuple[Finding, ...]:
    (findings,) = (detector or Sentiment()).detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I absolutely love this, thank you!", "POSITIVE"),
        ("This is awful and I hate it.", "NEGATIVE"),
        ("The meeting is at ten.", "NEUTRAL"),
        ("It is not good.", "NEGATIVE"),
        ("Great product!", "POSITIVE"),
        ("I h\u200bate this aw\u200bful thing", "NEGATIVE"),
    ],
)
def test_labels(text: str, label: str) -> None:
    (finding,) = found(text)
    assert finding.entity_type == label
    assert (finding.start, finding.end) == (0, len(text))
    assert finding.evidence["language"] == "en"
    assert (float(finding.evidence["compound"]) > 0) is (label == "POSITIVE")


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("I am so sad, I cried when the dog died.", "sadness"),
        ("This makes me furious, I hate being ignored.", "anger"),
        ("I am terrified that I will lose my terrible job.", "fear"),
        ("The kitchen was disgusting, it made me sick.", "disgust"),
        ("I am delighted, what a lovely day it was!", "joy"),
        ("You're not happy and I am disappointed, it is bad.", "sadness"),
        ("I don't hate it, but it is a terrible loss.", None),
        ("The service is bad and the food is worse.", None),
        ("The joy of the day was ruined: a horrible, awful crash killed ten.", None),  # joy is no negative feeling
        ("The meeting is at ten.", None),
        ("I was a\u200bfraid and it was awful.", "fear"),
    ],
)
def test_a_feeling_that_is_named_is_recorded(text: str, feeling: str | None) -> None:
    assert [finding.evidence.get("feeling") for finding in found(text)] == [feeling]


def test_stronger_words_score_higher() -> None:
    (mild,), (strong,) = found("The soup is good."), found("The soup is ABSOLUTELY wonderful, the best ever!!!")
    assert strong.score > mild.score > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "Die Katze ist tot und das ist nicht gut",  # "die" would be a bad word
        "Le film était horrible et je suis très en colère",
        "El servicio es terrible pero la comida no",
        "Это ужасно, я ненавижу это",
        "最悪です",
        "blorp zindle",
        "good",
        "12 34 56",
        "",
    ],
)
def test_other_languages_and_words_without_a_sentence_are_not_judged(text: str) -> None:
    assert not found(text)


def test_long_texts_are_averaged() -> None:
    (finding,) = found("This is awful and I hate it. " * 3 + "I love it, it is great. " * 30)
    assert finding.entity_type == "POSITIVE"
    assert float(finding.evidence["compound"]) < 0.96


def test_only_the_labels_asked_for() -> None:
    detector = Sentiment(labels=frozenset({"NEGATIVE"}), strength=0.7)
    assert detector.entity_types == {"NEGATIVE"}
    assert not found("I love it, this is great.", detector)
    assert not found("It is a bit odd and boring.", detector)
    assert found("It is horrible, I hate it, the worst ever.", detector)


@pytest.mark.parametrize("settings", [{"labels": ("SAD",)}, {"labels": ()}, {"strength": 2}, {"label": "NEGATIVE"}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"sentiment\.labels|strength|label"):
        Sentiment(**settings)  # type: ignore[arg-type]


def test_reports_by_default() -> None:
    recipe = Recipe(name="audit", rules=[{"detector": "sentiment"}])  # type: ignore[list-item]
    result = Engine(recipes=[recipe]).check("This is awful and I hate it.", stage="prompt", recipe="audit")
    assert result.verdict is Verdict.REPORT
    assert [finding.entity_type for finding in result.findings] == ["NEGATIVE"]
    assert result.findings[0].evidence["feeling"] == "anger"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vaderSentiment", "vaderSentiment.vaderSentiment"):
        monkeypatch.setitem(sys.modules, name, None)
    module._analyzer.cache_clear()
    try:
        with pytest.raises(ValidationError, match=r"guardrails-plugin\[sentiment\]"):
            Sentiment()
    finally:
        module._analyzer.cache_clear()


def test_a_long_text_takes_linear_time() -> None:
    """VADER alone is quadratic: 100 KB of one sentence would take minutes."""
    text = normalize(Segment("good bad but " * 8_000, Origin.USER))
    began = time.thread_time()
    Sentiment().detect([text], NO_CONTEXT)
    assert time.thread_time() - began < 5
