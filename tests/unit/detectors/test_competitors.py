"""Competitors are found as written, without their legal form and in disguise."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors.competitors import Competitors
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

DETECTOR = Competitors(names=("Globex GmbH", "Initech", "Umbrella Corp.", "Hooli"), allow=("umbrella stand",))


def values(text: str, detector: Competitors = DETECTOR) -> list[str]:
    ((*findings,),) = detector.detect([normalize(Segment(text, Origin.MODEL))], NO_CONTEXT)
    assert all(f.entity_type == "COMPETITOR" and f.detector == "competitors" for f in findings)
    return [text[finding.start : finding.end] for finding in findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Try Initech instead.", "Initech"),
        ("Globex GmbH offers more", "Globex GmbH"),
        ("globex is cheaper", "globex"),
        ("UMBRELLA'S new plan", "UMBRELLA"),
        ("1n1t3ch rocks", "1n1t3ch"),
        ("I n i t e c h", "I n i t e c h"),
        ("Ini\u200btech", "Ini\u200btech"),
        ("Іnitech", "Іnitech"),  # Cyrillic І
        ("hoooooli", "hoooooli"),
        ("G-l-o-b-e-x", "G-l-o-b-e-x"),
        ("The Initechs of this world", "Initechs"),
    ],
)
def test_found(text: str, value: str) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize(
    "text", ["an umbrella stand", "initechnology", "globe x-ray", "holi festival", "hool i", "two initechs"]
)
def test_near_misses(text: str) -> None:
    assert not values(text)


EVERYDAY = Competitors(names=("Gap", "Visa", "Oracle", "MindTree", "AND"), fuzzy=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Oracle announced a new version.", "Oracle"),
        ("We pay with Visa here.", "Visa"),
        ("The Visa card was refused.", "Visa"),
        ("Gap's new jeans", "Gap"),
        ("I have an account with oracle now", "oracle"),
        ("Mind Tree is cheaper", "Mind Tree"),
        ("AND sells shoes", "AND"),
    ],
)
def test_an_everyday_word_counts_where_it_is_a_name(text: str, value: str) -> None:
    assert values(text, EVERYDAY) == [value]


@pytest.mark.parametrize(
    "text",
    ["mind the gap and the visa rules", "Gap between the boards: 3 mm", "The Oracle of Delphi", "Visa rules differ."],
)
def test_an_everyday_word_is_no_name_elsewhere(text: str) -> None:
    assert not values(text, EVERYDAY)


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# rivals\nSoylent\n", encoding="utf-8")
    assert values("Soylent and S0yl3nt", Competitors(path=path, fuzzy=False)) == ["Soylent"]
    assert values("Apple or an apple", Competitors(names=("Apple",), case_sensitive=True)) == ["Apple"]


@pytest.mark.parametrize("settings", [{}, {"names": ("", " ")}, {"path": "/nowhere"}, {"name": ("x",)}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises((ValidationError, TypeError)):
        Competitors(**settings)  # type: ignore[arg-type]
