"""Legal texts are found by the sum of their classes against a sensitivity; prose and snippets are not."""

# ruff: noqa: E501 - texts
from __future__ import annotations

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors.legal import Legal
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

TERMS = (
    "By creating an account you agree to these terms. You may use the service only in compliance with applicable law. "
    "We may suspend or terminate your access at any time. The service is provided as is without warranties of any kind. "
    "You grant us a licence to host and display content that you upload. We may change these terms."
)
COURT = (
    "The Court of Appeal allowed the appeal. The trial judge had misdirected himself as to the meaning of dishonesty "
    "under section 2 of the Theft Act, and the conviction was unsafe. The respondent's argument that the statutory "
    "defence required an honest belief on reasonable grounds was rejected. Leave to appeal was refused."
)
SECRECY = (
    "The Receiving Party shall keep the Confidential Information of the Disclosing Party secret and shall not disclose "
    "it to any third party without prior written consent. The Receiving Party shall return all Confidential Information "
    "upon request. The obligations of confidentiality survive termination for five years."
)
CONTRACT = (
    "This Agreement is made between the Supplier and the Customer. The Supplier shall deliver the goods within 30 days "
    "after receipt of the order. The Customer shall pay each invoice within 14 days. Either party may terminate this "
    "Agreement upon written notice. Neither party may assign this Agreement without the consent of the other party."
)
PROSE = (
    "We walked along the river until the rain began and then sat under the bridge with our sandwiches. My brother told "
    "the story of the lost dog again, and everybody laughed although we had heard it many times. In the evening the sky "
    "cleared and the children wanted to swim, but the water was far too cold."
)
MAIL = (
    "Hi team, the agreement with the caterer is fine, please sign it when you can. Lunch on Friday will be at noon in "
    "the big room; bring your laptops because we will go through the roadmap afterwards. Thanks, Ana"
)


def found(text: str, detector: Legal | None = None) -> tuple[Finding, ...]:
    (findings,) = (detector or Legal()).detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return tuple(findings)


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        (TERMS, "TERMS_OF_SERVICE"),
        (COURT, "LEGAL_LAW"),
        (SECRECY, "NON_DISCLOSURE_AGREEMENT"),
        (CONTRACT, "CONTRACT"),
        (TERMS.upper(), "TERMS_OF_SERVICE"),
        (COURT.replace("appeal", "ap\u200bpeal"), "LEGAL_LAW"),
    ],
)
def test_classes(text: str, entity: str) -> None:
    (finding,) = found(text)
    assert finding.entity_type == entity
    assert (finding.start, finding.end) == (0, len(text) - 1)  # up to the last word


@pytest.mark.parametrize("text", [PROSE, MAIL, "This Agreement is governed by law.", "", "x = compute(terms) " * 20])
def test_near_misses(text: str) -> None:
    assert not found(text)


def test_a_clause_in_a_long_prompt_is_not_found() -> None:
    assert not found(PROSE * 8 + SECRECY[:120] + PROSE * 4)


def test_the_sum_of_the_chosen_classes_decides() -> None:
    (every,) = found(CONTRACT)
    chances = [float(every.evidence[name]) for name in ("contracts", "legal_law", "nda", "terms_of_service")]
    assert every.score == pytest.approx(sum(chances), abs=1e-3)
    assert not found(COURT, Legal(classes=("nda", "contracts")))


def test_a_higher_sensitivity_finds_no_less() -> None:
    texts = [TERMS, COURT, SECRECY, CONTRACT, PROSE, MAIL, TERMS[:170] + PROSE[:200]]
    low, medium, high = (
        {text for text in texts if found(text, Legal(sensitivity=level))} for level in ("low", "medium", "high")
    )
    assert low <= medium <= high


@pytest.mark.parametrize("settings", [{"classes": ()}, {"classes": ("wills",)}, {"sensitivity": "max"}, {"level": 1}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Legal(**settings)  # type: ignore[arg-type]


def test_a_short_text_takes_more() -> None:
    """Under 25 words only what is as sure as ``low`` asks, whatever the sensitivity; under 18 nothing."""
    clause = (
        "The Receiving Party shall not disclose the Confidential Information to any third party without the prior "
        "written consent of the Disclosing Party."
    )
    assert all(finding.score >= 0.9 for finding in found(clause, Legal(sensitivity="high")))
    assert found(clause)
    assert not found(" ".join(clause.split()[:12]), Legal(sensitivity="high"))
