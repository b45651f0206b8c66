"""Disguises: what a detector finds in its golden positive, it finds however that is written, or a table says why not.

Both tables are checked from both sides, so they shrink when a detector learns to read a disguise. A harmless sentence
in the same disguise is not found, so no detector passes by finding disguises instead of what they hide.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.contracts.test_detectors import BUILDS, MODEL, POSITIVES, Positive, found_in, plain

_LATIN, _CYRILLIC = "aceopxyijsABCEHKMOPTX", "асеорхуіјѕАВСЕНКМОРТХ"
_LOOK_ALIKES = str.maketrans(_LATIN, _CYRILLIC)
_FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in map(chr, range(128)) if char.isalpha()}
_LETTER = r"[^\W\d_]"
_BETWEEN = re.compile(rf"(?<={_LETTER})(?={_LETTER})")
_BEHIND = re.compile(rf"(?<={_LETTER}){_LETTER}+")


def _alternating(text: str) -> str:
    return "".join(char.upper() if at % 2 else char.lower() for at, char in enumerate(text))


DISGUISES: dict[str, Callable[[str], str]] = {
    "zero-width": lambda text: _BETWEEN.sub("\u200b", text),
    "soft hyphens": lambda text: _BETWEEN.sub("\u00ad", text),
    "full-width": lambda text: text.translate(_FULL_WIDTH),
    "look-alikes": lambda text: _BEHIND.sub(lambda letters: letters.group().translate(_LOOK_ALIKES), text),
    "look-alikes alone": lambda text: text.translate(_LOOK_ALIKES),
    "accents": lambda text: re.sub(_LETTER, "\\g<0>\u0301", text),
    "mixed case": _alternating,
    "entities": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}
"""``look-alikes`` leaves the first letter of each word; ``look-alikes alone`` makes some words wholly Cyrillic."""

READERS = [build for build in BUILDS if plain(build) != "call_limits"]  # which counts calls and reads no text

_DECODED = ("entities", "percent", "base64")
_AS_SHOWN = "sorts ordinary texts as a reader sees them; nobody reads escapes"
_ONE_SCRIPT = "a word of one script stays as it is, or Russian would be destroyed"

NOT_FOUND: dict[tuple[str, str], str] = {
    **{(name, disguise): _AS_SHOWN for name in ("language", "legal", "sentiment") for disguise in _DECODED},
    **{("gibberish", disguise): "decoded data seldom is prose; the model reads it" for disguise in _DECODED},
    **{("hidden_text", disguise): "escaped markup is shown, so it hides nothing" for disguise in _DECODED},
    **{("invisible_text", disguise): "an escape of an invisible character is visible" for disguise in _DECODED},
    **{("plan_check", disguise): "an agent does not carry out a plan in escapes" for disguise in _DECODED},
    **{(name, "look-alikes alone"): _ONE_SCRIPT for name in ("named_entities", "packages", "regex", "secrets")},
    ("hidden_text", "look-alikes alone"): "tags and styles in other letters are no markup",
    **{
        ("malicious_url", disguise): "nothing opens an address whose scheme is not ASCII"
        for disguise in ("look-alikes", "look-alikes alone", "accents")
    },
    ("data_exfiltration", "mixed case"): "commands, options and paths have exact case",
    ("gibberish", "mixed case"): "words with capitals inside are taken for names and keys, not prose",
    ("gibberish" + MODEL, "mixed case"): "words with capitals inside are taken for names and keys, not prose",
    ("packages", "mixed case"): "commands have exact case",
    ("plan_check", "mixed case"): "a verb with capitals inside reads as the name of a tool",
    ("prompt_injection", "mixed case"): "a control token with other capitals is none; the model reads it",
    ("regex", "mixed case"): "the pattern has exact case, as its author wrote it",
    ("secrets", "mixed case"): "with other capitals it is another key",
    ("street_addresses", "mixed case"): "capitals tell names of streets and towns from other words",
}

HARMLESS_FOUND: dict[tuple[str, str], str] = {
    **{("invisible_text", disguise): "it is what it looks for" for disguise in ("zero-width", "soft hyphens")},
}

HARMLESS = "My brother bakes bread with walnuts every Saturday morning, and we eat it at the kitchen table."


def is_found(build: str, disguise: str, content: Any) -> bool:
    """Whether a content in disguise has a finding as sure, and of the same type, as the detector's positive."""
    golden = POSITIVES[plain(build)]
    shown: Positive = replace(golden, content=_disguised(content, DISGUISES[disguise]))
    return any(
        one.entity_type == golden.entity_type and one.score >= golden.score
        for findings in found_in(build, shown)
        for one in findings
    )


def _disguised(content: Any, disguise: Callable[[str], str]) -> Any:
    """A text in disguise, or a call whose arguments are."""
    if isinstance(content, str):
        return disguise(content)
    return {**content, "args": {name: disguise(value) for name, value in content["args"].items()}}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("build", READERS)
class TestDisguises:
    def test_the_positive_is_found_unless_the_table_says_why_not(self, build: str, disguise: str) -> None:
        found = is_found(build, disguise, POSITIVES[plain(build)].content)
        assert found is ((build, disguise) not in NOT_FOUND)

    def test_a_harmless_sentence_is_not(self, build: str, disguise: str) -> None:
        assert is_found(build, disguise, HARMLESS) is ((build, disguise) in HARMLESS_FOUND)


def test_the_tables_name_what_there_is() -> None:
    assert {*NOT_FOUND, *HARMLESS_FOUND} <= {(build, disguise) for build in READERS for disguise in DISGUISES}
