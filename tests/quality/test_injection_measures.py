"""Floors under what is claimed of the injection model beyond plain blind texts; `tests.quality.injection` prints all.

Samples are small, so that these take seconds. The bars stand in ``docs/benchmarks.md`` beside what is reached.
"""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin.models.encoder import EMBEDDED, load_encoder
from guardrails_plugin.types import Origin
from tests.quality.injection import batches, calibration, cost, disguises, kinds, long_texts, models, windows
from tests.quality.injection.rows import Judge, Row, blind, drawn

# A share p of n texts varies by sqrt(p (1 - p) / n) between samples; a floor lies about two of these from what the
# whole table says. The sample is always the same, so what falls through is a worse model, while the few texts at the
# threshold that another machine's int8 sums tip over do not. 300 disguised texts at .98 vary by .01, 30 texts by .03.


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.slow
def test_the_ten_disguises_hide_little(judge: Judge) -> None:
    rows = list(disguises.measured(judge, disguises.NAMED, disguises.texts(judge, 30)))
    assert np.mean([row.found for row in rows]) >= 0.95
    assert min(row.found for row in rows) >= 0.8
    assert np.mean([row.flagged for row in rows]) <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize(("languages", "floor"), [("other languages, Latin script", 0.93), ("other scripts", 0.9)])
def test_disguises_hide_little_in_other_languages(judge: Judge, languages: str, floor: float) -> None:
    rows = disguises.measured(judge, disguises.LANGUAGES[languages], disguises.texts(judge, 20, languages))
    assert np.mean([row.found for row in rows]) >= floor


def test_languages_are_told_by_most_of_their_letters() -> None:
    texts = {"en": "the Ω of it", "fr": "l'été à Łódź", "ru": "версия 2 для API", "el": "Ω, see the English text"}
    rows = [Row(text, label=False, origin=Origin.USER, lang=lang) for lang, text in texts.items()]
    english, latin, other = disguises.LANGUAGES
    assert [disguises.languages_of(row) for row in rows] == [english, latin, other, latin]


@pytest.mark.slow
def test_attacks_are_found_in_documents(judge: Judge) -> None:
    row = long_texts.measured(judge, 4, 0.2, ("middle",))
    assert row.found["middle"] >= 0.88
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
    assert areas["blind user"] >= 0.85
    assert areas["long"] >= 0.7


@pytest.mark.slow
def test_little_is_spent_beside_the_passes_whatever_the_length() -> None:
    assert np.median([one.ratio for one in cost.measured(cost.texts(60))]) < 1.2


@pytest.mark.slow
def test_clean_short_texts_take_one_pass() -> None:
    assert np.mean(np.asarray(cost.passes(cost.short(150))) <= 1) >= 0.98


@pytest.mark.slow
def test_classifiers_are_compared_at_equal_shares() -> None:
    english, others, every = models.compared(EMBEDDED, drawn(blind(), 400))
    assert min(english.area, others.area, every.area) >= 0.9
    assert list(every.found) == sorted(every.found)


def test_flagged_is_the_same_share_of_each_origin() -> None:
    origins = [Origin.USER, Origin.EXTERNAL]
    rows = [Row("", label=number % 2 == 1, origin=origin) for origin in origins for number in range(40)]
    scores = np.concatenate([np.linspace(0, 0.5, 40), np.linspace(0.5, 1, 40)])
    flags = models.flagged(rows, scores, 0.05)
    innocent = np.asarray([not row.label for row in rows])
    assert [int(flags[own][innocent[own]].sum()) for own in (slice(40), slice(40, 80))] == [1, 1]


@pytest.mark.slow
def test_a_batch_of_one_is_a_pass_and_company_moves_little() -> None:
    encoder = load_encoder(EMBEDDED)
    own = batches.windows_of(encoder, 12)
    alone = [encoder._forward(window).logits[0] for window in own]
    assert batches.logits(encoder, own, 1).tolist() == alone
    assert np.abs(batches.logits(encoder, own, 4) - alone).mean() < 0.5


@pytest.mark.slow
def test_what_attacks_are_after_is_told_often_and_mostly_rightly() -> None:
    counts = kinds.named(kinds.blind())
    assert counts.total() == 379
    assert kinds.told(counts) >= 0.47
    assert kinds.right(counts) >= 0.73
