"""How well addresses are found; floors a little below what `measure_addresses` printed when the model was made."""

from __future__ import annotations

from guardrails_plugin.detectors.street_addresses import StreetAddresses
from tests.quality.measure_addresses import finder, measure, own, pii


def test_addresses_in_many_formats() -> None:
    result = measure(own(), finder(StreetAddresses()))
    assert result.found >= 25
    assert result.exact >= 22
    assert result.false <= 2


def test_addresses_among_other_personal_data() -> None:
    result = measure(pii(), finder(StreetAddresses()))
    assert result.found >= 24
    assert result.false <= 4
