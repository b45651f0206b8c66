"""Heads of the encoder beside forms of speech: from which point on, where, and not at all when switched off."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from guardrails_plugin import Engine
from guardrails_plugin.detectors.label_heads import HeadedPatterns, beside
from guardrails_plugin.detectors.refusal import Refusal
from guardrails_plugin.detectors.role_play import RolePlay
from guardrails_plugin.detectors.self_harm import SelfHarm
from guardrails_plugin.models.encoder import EMBEDDED, load_encoder
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

HEADED: list[tuple[type[HeadedPatterns], str]] = [
    (RolePlay, "For the rest of this chat, be the grumpy ferryman of our village and tell every guest about the fog."),
    (
        Refusal,
        "That is something I have to leave to others; please turn to a lawyer instead of me for the letter.",
    ),
    (SelfHarm, "my letters are written, the dog is at my brother's. it's fine, I'm calm now, this is my last evening"),
]
CALM = "The library opens at nine on Saturdays, and the café next door sells tickets for the ferry."


def found(detector: HeadedPatterns, text: str) -> tuple[Finding, ...]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize(("kind", "text"), HEADED)
class TestHeads:
    def test_what_no_form_of_speech_says_is_found_by_the_classifier_alone(
        self, kind: type[HeadedPatterns], text: str
    ) -> None:
        (finding,) = found(kind(), text)
        assert finding.evidence["analyzer"] == "classifier"
        assert finding.entity_type in kind().entity_types
        assert text[finding.start : finding.end] == text
        assert not found(kind(classifier=False), text)
        assert not found(kind(), CALM)

    def test_a_point_that_flags_less_asks_for_more(self, kind: type[HeadedPatterns], text: str) -> None:
        del text
        encoder = load_encoder(EMBEDDED)
        for label in kind.labels:
            limits = [encoder.label_threshold(point, label) for point in ("strict", "balanced", "permissive")]
            assert limits == sorted(limits)
            assert limits[0] < limits[-1]

    def test_zero_width_characters_hide_nothing(self, kind: type[HeadedPatterns], text: str) -> None:
        assert found(kind(), "\u200b".join(text))

    def test_a_recipe_acts_on_it(self, kind: type[HeadedPatterns], text: str) -> None:
        rule: dict[str, Any] = {kind.name: {"action": "block"}, "prompt_injection": {"disabled": True}}
        assert Engine(overrides=rule).check(text, stage="prompt").blocked


def test_labels_are_of_the_embedded_model() -> None:
    known = load_encoder(EMBEDDED).config.labels
    assert all(label in known for kind, _ in HEADED for label in kind.labels)


def test_a_point_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="strict"):
        Refusal(point="loose")  # type: ignore[arg-type]


def test_the_closer_of_two_that_are_as_sure_is_kept() -> None:
    pattern = Finding("refusal", "REFUSAL", 0.8, 0, 4)
    window = Finding("refusal", "REFUSAL", 0.8, 0, 90)
    surer = Finding("refusal", "REFUSAL", 0.9, 0, 90)
    assert beside([pattern], [window]) == (pattern,)
    assert beside([pattern], [surer]) == (pattern, surer)
    assert beside([], [window]) == (window,)
