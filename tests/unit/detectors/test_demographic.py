"""Mentions of groups of people are found by kind; the same words about things are not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from guardrails_plugin import Engine, Recipe
from guardrails_plugin.detectors.demographic import Demographic
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment, Verdict


def found(text: str, detector: Demographic | None = None) -> tuple[Finding, ...]:
    (findings,) = (detector or Demographic()).detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize(
    ("text", "value", "entity"),
    [
        ("Many refugees arrived last year.", "refugees", "CULTURE"),
        ("Her mother tongue is Welsh.", "mother tongue", "CULTURE"),
        ("How is Diwali celebrated?", "Diwali", "CULTURE"),
        ("Rates among Black women are higher.", "Black women", "ETHNICITY"),
        ("A Latino family moved in.", "Latino", "ETHNICITY"),
        ("services for Native Americans", "Native Americans", "ETHNICITY"),
        ("people of colour in film", "people of colour", "ETHNICITY"),
        ("a transgender athlete", "transgender", "GENDER"),
        ("non-binary pronouns", "non-binary", "GENDER"),
        ("her feminism", "feminism", "GENDER"),
        ("Do women earn less?", "women", "SEX"),
        ("a pregnant employee", "pregnant", "SEX"),
        ("female applicants", "female", "SEX"),
        ("He is gay.", "gay", "SEXUAL_ORIENTATION"),
        ("LGBTQ+ rights", "LGBTQ+", "SEXUAL_ORIENTATION"),
        ("same-sex couples may adopt", "same-sex couples", "SEXUAL_ORIENTATION"),
        ("Teenagers sleep late.", "Teenagers", "AGE"),
        ("a 70 year-old driver", "year-old", "AGE"),
        ("older workers were let go", "older workers", "AGE"),
        ("Gen Z buys less", "Gen Z", "AGE"),
        ("people with disabilities", "people with disabilities", "DISABILITY"),
        ("My son is autistic.", "autistic", "DISABILITY"),
        ("he is in a wheelchair", "in a wheelchair", "DISABILITY"),
        ("she is deaf", "deaf", "DISABILITY"),
        ("left-wing voters", "left-wing", "POLITICS"),
        ("a Republican senator", "Republican", "POLITICS"),
        ("Communists in the council", "Communists", "POLITICS"),
        ("the Conservative Party conference", "Conservative Party", "POLITICS"),
        ("Mexicans in Texas", "Mexicans", "NATIONALITY"),
        ("a Polish plumber", "Polish", "NATIONALITY"),
        ("his citizenship", "citizenship", "NATIONALITY"),
        ("two Ukrainian players", "Ukrainian", "NATIONALITY"),
        ("Muslims fast in spring", "Muslims", "RELIGION"),
        ("a Jewish school", "Jewish", "RELIGION"),
        ("he converted to Buddhism", "Buddhism", "RELIGION"),
        ("My aunt is Swedish.", "Swedish", "NATIONALITY"),
        ("a French nurse", "French", "NATIONALITY"),
        ("The plumber was 61 years old.", "years old", "AGE"),
        ("a man in his sixties", "sixties", "AGE"),
        ("Mara has been blind since birth", "blind", "DISABILITY"),
        ("she was diagnosed with epilepsy", "epilepsy", "DISABILITY"),
        ("the tall Black surgeon", "Black", "ETHNICITY"),
        ("a Catho\u200blic priest", "Catho\u200blic", "RELIGION"),
        ("MUSLIMS", "MUSLIMS", "RELIGION"),
        ("ｍｕｓｌｉｍｓ", "ｍｕｓｌｉｍｓ", "RELIGION"),
        ("My neighbour turned 62 on Sunday.", "turned 62", "AGE"),
        ("Our son is only sixteen, so no.", "is only sixteen", "AGE"),
        ("Wanda turned 71 on Friday.", "turned 71", "AGE"),
        ("I'm 34 and I like tea", "'m 34", "AGE"),
        ("two boys and a woman aged 45", "aged 45", "AGE"),
        ("The nurse who rang this morning is Estonian.", "Estonian", "NATIONALITY"),
        ("a Jamaican passport was found", "Jamaican", "NATIONALITY"),
        ("of Hausa and Irish descent", "Hausa", "ETHNICITY"),
        ("As a German, I was amused.", "German", "NATIONALITY"),
        ("my uncle votes Labour", "Labour", "POLITICS"),
        ("Her boss is a Conservative.", "Conservative", "POLITICS"),
        ("he lost his hearing at work", "lost his hearing", "DISABILITY"),
        ("My cousin is single again", "single", "MARITAL_STATUS"),
        ("The tenant is divorced.", "divorced", "MARITAL_STATUS"),
        ("an old widower", "widower", "MARITAL_STATUS"),
        ("Dana is bi, and says so.", "bi", "SEXUAL_ORIENTATION"),
        ("muslims\nand others", "muslims", "RELIGION"),
    ],
)
def test_mentions(text: str, value: str, entity: str) -> None:
    assert (value, entity) in [(text[f.start : f.end], f.entity_type) for f in found(text)]


@pytest.mark.parametrize(
    "text",
    [
        "a black jacket and white shoes",
        "polish the table",
        "the straight road to the old mill",
        "a male connector and a female thread",
        "grammatical gender in nouns, a hard case",
        "double-blind trial",
        "conservative estimate of costs",
        "the mission of the company",
        "the turkey is in the oven",
        "a slavish copy",
        "management and amendments",
        "the blind spot of the mirror",
        "I am disabled by this bug in the settings page, disable the flag",
        "an independent party",
        "a danish pastry, please",
        "generation of reports",
        "the labour market",
        "The democratization of tools",
        "Christian Dior perfume",
        "his age is a secret",
        "The tower is 120 years old.",
        "a 12-year-old computer",
        "near the mosque",
        "Buddhism in Japan and the history of feminism",
        "the female deer and the male",
        "a Greek salad and Swedish furniture",
        "Religion, gender and nationality are not recorded.",
        "our elderly printer",
        "in the sixties",
        "gay colours and merry songs",
        "The score is 34 and the match turned 62 minutes ago",
        "cheese aged 24 months, and the number of goals is 18.",
        "My Beagle turned 14 and the Volvo is 20.",
        "I am 20 minutes late and she was 15 metres away",
        "not a single nurse had a single malt",
        "He is straight from the airport",
        "the village's Roman heritage site is closed",
        "our theory is divorced from practice, and the tastes are married in this dish",
        "Labour costs and a Conservative estimate",
        "the gear is engaged, a black widow sat on it",
        "a file in a non-binary format",
        "an Estonian ferry with Jamaican coffee",
    ],
)
def test_near_misses(text: str) -> None:
    assert not found(text)


def test_the_longest_mention_wins() -> None:
    assert [(f.start, f.end) for f in found("people of color")] == [(0, 15)]


def test_only_the_kinds_asked_for() -> None:
    detector = Demographic(entities=("RELIGION",), allow=("islamic art",))
    assert detector.categories == {"religion": {"RELIGION"}}
    assert [f.entity_type for f in found("Muslim women like Islamic art", detector)] == ["RELIGION"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"demographic\.entities"):
        Demographic(entities=("WEALTH",))


def test_reports_by_default() -> None:
    recipe = Recipe(name="audit", rules=[{"detector": "demographic"}])  # type: ignore[list-item]
    assert Engine(recipes=[recipe]).check("a Jewish school", stage="prompt", recipe="audit").verdict is Verdict.REPORT


def test_findings_hold_no_words() -> None:
    assert "jewish" not in repr(found("a Jewish school")).lower()
