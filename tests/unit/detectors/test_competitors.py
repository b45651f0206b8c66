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
    ],
)
def test_found(text: str, value: str) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize("text", ["an umbrella stand", "initechnology", "globe x-ray", "holi festival", "hool i"])
def test_near_misses(text: str) -> None:
    assert not values(text)


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# rivals\nSoylent\n", encoding="utf-8")
    assert values("Soylent and S0yl3nt", Competitors(path=path, fuzzy=False)) == ["Soylent"]
    assert values("Apple or an apple", Competitors(names=("Apple",), case_sensitive=True)) == ["Apple"]


@pytest.mark.parametrize("settings", [{}, {"names": ("", " ")}, {"path": "/nowhere"}, {"name": ("x",)}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises((ValidationError, TypeError)):
        Competitors(**settings)  # type: ignore[arg-type]
