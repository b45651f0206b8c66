"""What the topic detector is worth, and its curve from standard deviations to probability.

    python -m guardrails_plugin.training.topics --data FOLDER

Ten domains of assistant requests (CLINC classes, CC BY 3.0; ``topics_clinc_train.jsonl.gz``): some requests of each
domain are its examples, the others are judged, one topic against all the others. Prints, by number of examples and of
other topics that the detector was given, the area under the curve, and what share of the texts about a topic and of
the others reach probabilities of .2 and .5, with `topics.SHARE` of them about the topic; then the curve fitted on all.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guardrails_plugin.detectors import few_shot, topics
from guardrails_plugin.detectors.topic_vectors import embedded_vectors
from guardrails_plugin.models.encoder import EMBEDDED
from guardrails_plugin.training import calibrate, evaluate
from guardrails_plugin.training.data import read_rows

if TYPE_CHECKING:
    from guardrails_plugin.detectors.topic_vectors import Matrix

OUTSIDE = "oos"
"""Requests of no domain: judged, never examples."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Standard deviations of texts above those that do not belong, topic by topic, and whether they belong."""

    topics: Sequence[tuple[list[float], list[int]]]

    @property
    def auc(self) -> float:
        """Mean over the topics of one against all the others."""
        return float(np.mean([evaluate.auc(deviations, labels) for deviations, labels in self.topics]))

    def found(self, threshold: float, label: int) -> float:
        """Share of the texts that belong (1) or do not (0) with at least this probability."""
        pairs = [pair for deviations, labels in self.topics for pair in zip(deviations, labels, strict=True)]
        return float(np.mean([topics.probability(value) >= threshold for value, own in pairs if own == label]))


def judge(rows: Mapping[str, Matrix], everyday: Matrix, examples: int, others: int) -> Judged:
    """The first rows of every domain are its examples, the rest are judged.

    Args:
        rows: vectors of texts by domain.
        everyday: vectors of the everyday texts.
        examples: how many of a domain.
        others: how many other domains the detector knows besides the one in question.
    """
    known = [name for name in rows if name != OUTSIDE]
    results = []
    for place, topic in enumerate(known):
        # Those that follow it in a ring, so that every domain serves equally often.
        counter = [rows[known[(place + step) % len(known)]][:examples] for step in range(1, others + 1)]
        trained = few_shot.fit(rows[topic][:examples], np.concatenate([everyday, *counter]))
        judged = [(row, name == topic) for name, own in rows.items() for row in own[examples * (name in known) :]]
        deviations = [trained.deviation(row) for row, _ in judged]
        results.append((deviations, [int(belongs) for _, belongs in judged]))
    return Judged(results)


def fitted(judged: Sequence[Judged]) -> calibrate.Platt:
    """The curve for `topics.SHARE`."""
    pairs = [pair for one in judged for values in one.topics for pair in zip(*values, strict=True)]
    return calibrate.fit([value for value, _ in pairs], [label for _, label in pairs], prior=topics.SHARE)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure the detector of topics on ten domains of requests.")
    parser.add_argument("--data", type=Path, required=True, help="folder with topics_clinc_train.jsonl.gz")
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="folder of the encoder")
    parser.add_argument("--examples", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--others", type=int, nargs="+", default=[2, 9])
    parser.add_argument("--texts", type=int, default=2000, help="how many requests to take, examples included")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args(arguments)

    drawn = list(read_rows(options.data / "topics_clinc_train.jsonl.gz"))
    random.Random(options.seed).shuffle(drawn)
    by_domain: dict[str, list[str]] = defaultdict(list)
    for row in drawn[: options.texts]:
        by_domain[row["category"]].append(row["text"])
    vectors = embedded_vectors(options.model)
    rows = {name: vectors.of(texts) for name, texts in sorted(by_domain.items())}
    results = []
    for others in options.others:
        for count in options.examples:
            judged = judge(rows, vectors.everyday, count, others)
            shares = ", ".join(f"at {at}: {judged.found(at, 1):.2f} and {judged.found(at, 0):.3f}" for at in (0.2, 0.5))
            print(f"{others} other topics, {count} examples: AUC {judged.auc:.3f}; {shares}", flush=True)
            results.append(judged)
    curve = fitted(results)
    print(f"curve: {curve.a:.2f} * deviation {curve.b:+.2f}")


if __name__ == "__main__":
    main()
