"""What other products call NATIONAL_ID is made of types that `pii` finds, by country and not of companies."""

from __future__ import annotations

from guardrails_plugin.detectors.pii import Pii
from guardrails_plugin.detectors.pii_national import NATIONAL_IDS


def test_every_type_is_one_of_pii() -> None:
    assert set(NATIONAL_IDS) <= Pii().categories["sensitive"]
    assert set(NATIONAL_IDS.values()) == {"NATIONAL_ID"}


def test_types_with_a_name_of_their_own_and_companies_are_not_among_them() -> None:
    others = {"US_SSN", "US_ITIN", "UK_NATIONAL_INSURANCE_NUMBER", "US_PASSPORT", "UK_PASSPORT", "AU_ABN", "BR_CNPJ"}
    assert others <= Pii().entity_types
    assert others.isdisjoint(NATIONAL_IDS)
