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


SPELT = Competitors(names=("Zendesk", "Mailchimp", "Amazon Web Services", "Northwind Traders", "Яндекс", "Samsung"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Our agents hated the Zendeskification of support.", "Zendeskification"),
        ("coming from mailchmp, do I keep my lists?", "mailchmp"),
        ("AWS has a free tier for that.", "AWS"),
        ("Northwind quoted us 12% less.", "Northwind"),
        ("I use Yandex for directions.", "Yandex"),
        ("今のスマホはサムスンです", "サムスン"),
        ("삼성이 더 싸요", "삼성"),
        ("Мы вернули Самсунга в магазин", "Самсунга"),
        ("see getzendesk.io for more", "zendesk"),
        ("#zendeskfail again", "zendesk"),
        ("from zendesk_sdk import Client", "zendesk"),
    ],
)
def test_inflected_misspelt_short_and_transcribed_names(text: str, value: str) -> None:
    assert values(text, SPELT) == [value]


@pytest.mark.parametrize(
    "text",
    ["Samson lost his hair", "a north wind and traders", "the aws of it", "a chimp with mail", "Сам сунг пришёл"],
)
def test_words_that_only_resemble_a_name(text: str) -> None:
    assert not values(text, SPELT)


SENSES = Competitors(names=("Chase", "Wendy's", "Mercury", "Target", "Best Buy", "Monday", "Anker"))


@pytest.mark.parametrize(
    "text",
    [
        "My brother Chase will pick it up.",
        "Ask Chase Miller in accounting.",
        "Wendy from HR signed the form.",
        "Mercury is the planet closest to the Sun.",
        "Freddie Mercury sang it.",
        'Click "Target" in the left column.',
        "TARGET DATE: 14 MAY",
        "Our Target Planner add-on is included.",
        "This is the best buy for small kitchens.",
        "We are closed on Monday.",
        "Der Anker liegt im Schlamm.",
    ],
)
def test_other_senses(text: str) -> None:
    assert not values(text, SENSES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I opened a Chase checking account.", "Chase"),
        ("the burgers at Wendys are better", "Wendys"),
        ("We bank with Mercury now.", "Mercury"),
        ("target.com lists it for less", "target"),
        ("Got it at Best Buy for 80.", "Best Buy"),
        ("We tried Monday's boards.", "Monday"),
    ],
)
def test_meant_as_a_company(text: str, value: str) -> None:
    assert values(text, SENSES) == [value]


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# rivals\nSoylent\n", encoding="utf-8")
    assert values("Soylent and S0yl3nt", Competitors(path=path, fuzzy=False)) == ["Soylent"]
    assert values("Apple or an apple", Competitors(names=("Apple",), case_sensitive=True)) == ["Apple"]


@pytest.mark.parametrize("settings", [{}, {"names": ("", " ")}, {"path": "/nowhere"}, {"name": ("x",)}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises((ValidationError, TypeError)):
        Competitors(**settings)  # type: ignore[arg-type]
