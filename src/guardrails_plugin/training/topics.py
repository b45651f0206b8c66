"""From nearness to probability for the topic detector, and what the result is worth.

Ten domains of assistant requests (CLINC classes, CC BY 3.0): each is given to the detector as a description and a few
of its own requests; other requests then show how near texts of a topic, and texts of the others, come to it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrails_plugin.detectors.topics import Topic, Topics
from guardrails_plugin.training import calibrate, evaluate
from guardrails_plugin.training.data import read_rows

DOMAINS: dict[str, str] = {
    "auto_and_commute": "cars, tyres, fuel, traffic and the way to work",
    "banking": "bank accounts, transfers, bills and savings",
    "credit_cards": "credit cards, credit scores and rewards",
    "home": "shopping lists, to-do lists, music, orders and the smart home",
    "kitchen_and_dining": "cooking, ingredients, recipes and restaurants",
    "meta": "settings of the assistant itself: volume, name, language, yes and no",
    "small_talk": "greetings, jokes and questions about the assistant",
    "travel": "flights, hotels, visas, sights and luggage",
    "utility": "weather, time, alarms, sums, calls and messages",
    "work": "meetings, pay, leave, insurance and taxes",
}
OUTSIDE = "oos"

EXAMPLES, FITTED = 10, 3000


@dataclass(frozen=True, slots=True)
class TopicQuality:
    """The fitted curve, and the area under the curve of each domain on requests that it has not seen."""

    curve: calibrate.Platt
    auc: Mapping[str, float | None]
    recall: float
    false_positives: float


def measure(data: Path, *, seed: int = 17) -> TopicQuality:
    """Fits the curve on the train part of ``topics_clinc_train.jsonl.gz`` in `data`, and measures on its dev part."""
    rng = random.Random(seed)
    train, dev = defaultdict(list), []
    for row in read_rows(data / "topics_clinc_train.jsonl.gz"):
        if row["split"] == "dev":
            dev.append((row["text"], row["category"]))
        else:
            train[row["category"]].append(row["text"])
    chosen = {name: rng.sample(train[name], EXAMPLES) for name in DOMAINS}
    topics = {name: Topic(description=DOMAINS[name], examples=tuple(chosen[name])) for name in DOMAINS}
    detector = Topics(topics=topics)
    rest = [(text, name) for name in DOMAINS for text in train[name] if text not in chosen[name]]
    curve = calibrate.fit(*_pairs(detector, rng.sample(rest, FITTED)))
    return _quality(detector, dev, curve)


def _pairs(detector: Topics, rows: Sequence[tuple[str, str]]) -> tuple[list[float], list[int]]:
    near = detector.nearness([text for text, _ in rows])
    values = [(one[name], int(name == own)) for one, (_, own) in zip(near, rows, strict=True) for name in one]
    return [value for value, _ in values], [label for _, label in values]


def _quality(detector: Topics, rows: Sequence[tuple[str, str]], curve: calibrate.Platt) -> TopicQuality:
    near = detector.nearness([text for text, _ in rows])
    auc: dict[str, float | None] = {}
    for name in DOMAINS:
        auc[name] = evaluate.auc([one[name] for one in near], [int(own == name) for _, own in rows])
    values, labels = _pairs(detector, rows)
    flagged = curve.probability(values) >= 0.5
    hits = [bool(flag) for flag, label in zip(flagged, labels, strict=True) if label]
    misses = [bool(flag) for flag, label in zip(flagged, labels, strict=True) if not label]
    return TopicQuality(curve, auc, sum(hits) / len(hits), sum(misses) / len(misses))
