"""Law 3, for every registered detector: deterministic, sorted valid spans, never raises, linear, thread-safe."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import registry
from guardrails_plugin.detectors.base import by_place
from guardrails_plugin.normalize import normalize
from guardrails_plugin.protocols import Detector
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment, Text
from tests.strategies import VALUES, texts

SETTINGS: dict[str, dict[str, object]] = {
    "competitors": {"names": ("Globex GmbH", "Initech")},
    "keywords": {"terms": ("project falcon", "überraschung", "secret")},
    "named_entities": {"model": None, "recognizers": ({"entity": "TICKET", "patterns": (r"TCK-\d{4}",)},)},
    "regex": {"patterns": {"ticket": r"TCK-\d{4,8}"}},
    "prompt_injection": {"classifier": False},
    "refusal": {"classifier": False},
    "role_play": {"classifier": False},
    "self_harm": {"classifier": False},
    "topics": {"topics": {"gardens": {"examples": ("when do I plant tomatoes?", "my roses have spots")}}},
    "similarity": {"examples": ("the invoice was paid on time", "who lost a password?")},
}
"""Detectors that do nothing without settings; the classifier and its heads have tests of their own."""

NAMES = registry.names("detectors")


@cache
def built(name: str) -> Detector:
    detector: Detector = registry.load("detectors", name)(**SETTINGS.get(name, {}))
    return detector


def text_of(content: str) -> Text:
    return normalize(Segment(content, Origin.EXTERNAL))


def found(name: str, content: str) -> tuple[Finding, ...]:
    return tuple(built(name).detect([text_of(content)], NO_CONTEXT)[0])


@pytest.mark.parametrize("name", NAMES)
class TestEveryDetector:
    def test_satisfies_the_protocol(self, name: str) -> None:
        detector = built(name)
        assert isinstance(detector, Detector)
        assert detector.name == name
        listed = [entity for group in detector.categories.values() for entity in group]
        assert set(listed) <= detector.entity_types
        assert len(listed) == len(set(listed)), "a type is in two categories"
        assert all(entity == entity.upper() for entity in detector.entity_types)

    @pytest.mark.parametrize("content", ["", " ", "\n", "\0"])
    def test_finds_nothing_in_nothing(self, name: str, content: str) -> None:
        assert all(finding.entity_type == "CONTROL_CHARACTER" for finding in found(name, content))

    @given(content=texts | st.text(max_size=200))
    def test_findings_are_valid_sorted_and_repeatable(self, name: str, content: str) -> None:
        findings = found(name, content)
        assert findings == found(name, content)
        assert findings == by_place(findings)
        for finding in findings:
            assert 0 <= finding.start <= finding.end <= len(content)
            assert 0.0 <= finding.score <= 1.0
            assert finding.entity_type in built(name).entity_types
            assert finding.detector == name

    @given(content=st.text(st.characters(), max_size=300))
    def test_any_text_is_fine(self, name: str, content: str) -> None:
        found(name, content)

    def test_findings_hold_no_text(self, name: str) -> None:
        content = " and ".join(VALUES)
        for finding in found(name, content):
            shown = repr(finding)
            assert not any(value in shown for value in VALUES)

    def test_same_in_eight_threads(self, name: str) -> None:
        contents = [" ".join(VALUES[i:]) for i in range(len(VALUES))] * 4
        expected = [found(name, content) for content in contents]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda content: found(name, content), contents)) == expected

    @pytest.mark.parametrize(
        "unit",
        [
            "the quick brown fox jumps over the lazy dog. ",
            "password = secret-key: token ",
            "a@b.c 1234-5678 http://x.y/z?q=",
            "aGVsbG8gd29ybGQgaGVsbG8=",
            "4111 1111 ",
            "-----BEGIN ",
            "\u200b\u200bx",
        ],
    )
    def test_ten_times_the_text_takes_at_most_fifteen_times_as_long(self, name: str, unit: str) -> None:
        small, big = text_of(unit * 200), text_of(unit * 2000)
        built(name).detect([small], NO_CONTEXT)
        for rounds in (1, 3, 4, 5, 6):  # nearly always the first will do
            ratio = seconds(name, big, rounds) / max(seconds(name, small, 2 + 2 * rounds), 2e-5)
            if ratio <= 15:
                return
        pytest.fail(f"ten times the text took {ratio:.0f} times as long")


def seconds(name: str, text: Text, rounds: int) -> float:
    """Best of some rounds of CPU time: other processes do not count."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        built(name).detect([text], NO_CONTEXT)
        best = min(best, time.thread_time() - began)
    return best
