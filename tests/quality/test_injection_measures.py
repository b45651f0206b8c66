"""Floors under what is claimed of the injection model beyond plain blind texts; `tests.quality.injection` prints all.

Samples are small, so that these take seconds: the floors lie well below what the whole tables say.
"""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin.types import Origin
from tests.quality.injection import calibration, cost, disguises, long_texts, windows
from tests.quality.injection.rows import Judge, blind, drawn


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.slow
def test_the_ten_disguises_hide_little(judge: Judge) -> None:
    rows = list(disguises.measured(judge, disguises.NAMED, 10))
    assert np.mean([row.found for row in rows]) >= 0.85
    assert min(row.found for row in rows) >= 0.6
    assert np.mean([row.flagged for row in rows]) <= 0.12


@pytest.mark.slow
def test_attacks_are_found_in_documents(judge: Judge) -> None:
    row = long_texts.measured(judge, 4, 0.08, ("middle",))
    assert row.found["middle"] >= 0.7
    assert row.read == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("kilobytes", "floor"), [(16, 0.7), (256, 0.4)])
def test_the_first_tier_hands_on_most_attacks(kilobytes: int, floor: float) -> None:
    assert long_texts.read_of(kilobytes) >= floor


@pytest.mark.slow
@pytest.mark.parametrize("origin", [Origin.USER, Origin.EXTERNAL])
def test_probabilities_are_near_the_shares_that_they_claim(judge: Judge, origin: Origin) -> None:
    scores, labels = calibration.judged(judge, drawn([row for row in blind() if row.origin is origin], 150))
    rows = calibration.reliability(scores, labels, calibration.halved(labels))
    assert calibration.error(rows) <= 0.2


def test_a_calibration_that_is_right_has_no_error() -> None:
    scores, labels = np.repeat([0.25, 0.75], 40), np.tile([True, False, False, False], 20)
    labels[40:] = ~labels[40:]
    even = np.ones(len(labels))
    assert calibration.error(calibration.reliability(scores, labels, even)) == pytest.approx(0)
    assert calibration.error(calibration.reliability(1 - scores, labels, even)) == pytest.approx(0.5)


def test_windows_are_combined_as_named() -> None:
    found = np.asarray([0.5, 0.1, 0.4, 0.2])
    assert windows.worst(found) == 0.5
    assert windows.either_of_two(found) == pytest.approx(0.7)
    assert windows.by_number(found) == pytest.approx(1 / 3)
    assert windows.by_number(found[:1]) == windows.either_of_two(found[:1]) == 0.5


@pytest.mark.slow
def test_the_shipped_windows_tell_attacked_documents_from_others() -> None:
    of = windows.texts(0.2)
    areas = windows.qualities(windows.read(*windows.shipped(), of), of, windows.worst)
    assert areas["blind user"] >= 0.9
    assert areas["long"] >= 0.7


@pytest.mark.slow
def test_little_is_spent_beside_the_passes_whatever_the_length() -> None:
    every = cost.measured(cost.texts(40))
    assert np.median([one.ratio for one in every]) < 1.5
    assert np.mean([one.passes == 1 for one in every if one.clean and one.length < cost.SHORT]) >= 0.8
