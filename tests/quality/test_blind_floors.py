"""The figures on the blind sets that ``docs/detectors.md`` names do not get worse.

Floors of recall and ceilings of false alarms lie one or two rows from what was measured, so that another machine's
rounding passes and a worse detector does not. Left out is what costs too much here: the first sets of refusals, role
play and self-harm, which their second sets, the harder ones, stand for.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.quality.measure_blind import SETS, Outcome, outcomes

FLOORS: dict[str, dict[str, tuple[float, float]]] = {
    "code": {"": (0.84, 0.03)},
    "code_second": {"": (0.70, 0.07)},
    "code_calls": {"": (0.97, 0.08)},
    "competitors": {"": (0.81, 0.06)},
    "competitors_second": {"": (0.77, 0.29)},
    "competitors_third": {"": (0.70, 0.08)},
    "competitors_fourth": {"": (0.77, 0.28)},
    "data_exfiltration": {"": (0.76, 0.03)},
    "data_exfiltration_second": {"": (0.96, 0.04)},
    "data_exfiltration_third": {"": (0.86, 0.05)},
    "demographic": {"": (0.90, 0.03)},
    "demographic_second": {"": (0.52, 0.05)},
    "demographic_third": {"": (0.57, 0.08)},
    "demographic_fourth": {"": (0.48, 0.05), "of any type": (0.48, 0.05)},
    "denial_of_service": {"": (0.89, 0.03)},
    "denial_of_service_second": {"": (0.86, 0.04)},
    "denial_of_service_third": {"": (0.54, 0.10)},
    "gibberish": {"": (0.70, 0.09)},
    "gibberish_second": {"": (0.62, 0.09)},
    "gibberish_third": {"": (0.38, 0.09)},
    "hidden_text": {"": (0.96, 0.03)},
    "hidden_text_second": {"": (0.92, 0.05)},
    "keywords": {"": (0.80, 0.03), "exact terms alone": (0.44, 0.03)},
    "language": {"": (0.69, 0.05)},
    "language_second": {"": (0.84, 0.03)},
    "legal": {"": (0.60, 0.06)},
    "legal_second": {"": (0.93, 0.17)},
    "malicious_url": {"": (0.80, 0.05)},
    "malicious_url_second": {"": (0.96, 0.04)},
    "malicious_url_third": {"": (0.86, 0.05)},
    "named_entities": {"": (0.40, 0.54), "types it has": (0.56, 0.0), "findings, wrong ones": (0.0, 0.45)},
    "packages": {"": (0.73, 0.04)},
    "pii": {"": (0.80, 0.02), "right type, types it has": (0.96, 0.0)},
    "pii_second": {
        "": (0.97, 0.03),
        "right type, types it has": (0.97, 0.0),
        "beside what is to be found": (0.0, 0.03),
    },
    "plan_check": {"": (0.97, 0.03)},
    "plan_check_second": {"": (0.96, 0.04)},
    "plan_check_third": {"": (0.90, 0.10)},
    "provenance": {"": (0.80, 0.06)},
    "provenance_third": {"": (0.86, 0.04)},
    "provenance_fourth": {"": (0.73, 0.07)},
    "refusal_second": {"": (0.62, 0.18)},
    "role_play_second": {"": (0.54, 0.03)},
    "secrets_second": {"": (0.96, 0.01), "beside what is to be found": (0.0, 0.02)},
    "self_harm_second": {"": (0.67, 0.18)},
    "sentiment": {"": (0.42, 0.25)},
    "sentiment_second": {"": (0.21, 0.23)},
    "sentiment_third": {"": (0.33, 0.21)},
    "sentiment_fourth": {"": (0.27, 0.18)},
    "similarity": {"": (0.13, 0.30)},
    "system_prompt_leak": {"": (0.90, 0.03)},
    "system_prompt_leak_second": {"": (0.67, 0.03)},
    "tool_definitions": {"": (0.91, 0.03), "with the injection model": (0.94, 0.12)},
    "tool_definitions_second": {"": (0.96, 0.04), "with the injection model": (0.96, 0.07)},
    "tool_definitions_third": {"": (0.50, 0.05), "with the injection model": (0.72, 0.05)},
    "topics": {"": (0.13, 0.20), "share = .5, as in the set": (0.62, 0.54)},
    "toxicity": {"": (0.74, 0.09)},
    "toxicity_second": {"": (0.66, 0.13)},
    "toxicity_third": {"": (0.68, 0.20)},
    "toxicity_fourth": {"": (0.42, 0.15), "of any type": (0.59, 0.20)},
}
"""By set and measure: least recall, greatest share of false alarms. Some are low: they say how good it is, no more."""

ELSEWHERE = {"secrets", "refusal", "role_play", "self_harm"}
"""`test_secrets` below; the others stand in the module's words."""


def shares(found: Sequence[Outcome]) -> tuple[float, float]:
    """Recall and false alarms; 1 and 0 where there was nothing to be found or nothing to be mistaken."""
    right = [one.found for one in found if one.label]
    false = [one.found for one in found if not one.label]
    return sum(right) / len(right) if right else 1.0, sum(false) / len(false) if false else 0.0


def test_every_set_has_its_floors() -> None:
    assert FLOORS.keys() | ELSEWHERE == SETS.keys()


@pytest.mark.parametrize("name", FLOORS)
def test_floors(name: str) -> None:
    found = outcomes(name)
    assert {one.measure for one in found} == FLOORS[name].keys()
    for measure, (floor, ceiling) in FLOORS[name].items():
        recall, false = shares([one for one in found if one.measure == measure])
        assert recall >= floor, f"{measure or name}: recall {recall:.3f}"
        assert false <= ceiling, f"{measure or name}: false alarms {false:.3f}"


def test_secrets() -> None:
    """By group: common issuers, the long tail, and innocent texts, of which prose must be wholly so."""
    found = outcomes("secrets")
    floors = {("common", ""): 0.98, ("common", "issuer named"): 0.95, ("long_tail", ""): 0.97}
    floors["long_tail", "issuer named"] = 0.91
    for (group, measure), floor in floors.items():
        recall, _ = shares([one for one in found if one.label and (one.group, one.measure) == (group, measure)])
        assert recall >= floor, f"{group} {measure}: {recall:.3f}"
    innocent = [one for one in found if not one.label]
    assert {"none_prose", "none_placeholder", "none_digest"} <= {one.group for one in innocent}
    assert not any(one.found for one in innocent if one.group == "none_prose")
    assert sum(one.found for one in innocent) <= 2
