"""What scanners by examples are worth, other ways of comparing them, and the curve of `detectors.similarity`.

    python -m guardrails_plugin.training.similarity --scanners data/similarity/scanners.jsonl --data FOLDER [--compare]

Judged: 14 invented scanners (six examples, three counter-examples) on ten texts each that belong, most of them with few
words of the examples, and ten near misses that share words (``data/similarity``); 30 kinds of assistant requests (CLINC
intents, CC BY 3.0; near misses: others of the domain); both against ordinary texts (``benign_train.jsonl.gz``). Prints,
for the half of the scanners that the curve is fitted on, for the requests, and for the half held back,
the mean areas under the curve (near misses, ordinary texts), what share of the texts that belong, of near misses and of
ordinary texts reaches probability .5, and the recall where one of a hundred ordinary texts is flagged by the same
threshold for all scanners; then the curve fitted on the first two. ``--compare`` prints the other ways.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guardrails_plugin.detectors.similarity import MeaningEmbedder, NgramEmbedder, likeness
from guardrails_plugin.models.encoder import EMBEDDED
from guardrails_plugin.training import calibrate, evaluate
from guardrails_plugin.training.data import read_rows

if TYPE_CHECKING:
    from guardrails_plugin.detectors.similarity import Embedder, Matrix

SHARE = 0.15
"""Share of texts that belong, near misses and ordinary texts together, that the curve is fitted for."""
ORDINARY = 600
REQUESTS = 30
"""Kinds of requests that are judged."""
LONGEST = 240
"""Characters of an ordinary text: those of a window."""

Score = Callable[["Matrix", "Matrix", "Matrix"], "Matrix"]
"""From rows to judge, of examples and of counter-examples to scores."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A scanner and what it is tried on."""

    half: str
    examples: Sequence[str]
    counter_examples: Sequence[str]
    positives: Sequence[str]
    near_misses: Sequence[str]

    @property
    def texts(self) -> list[str]:
        """All of them."""
        return [*self.examples, *self.counter_examples, *self.positives, *self.near_misses]


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores of one trial."""

    positives: Matrix
    near_misses: Matrix
    ordinary: Matrix


class Rows:
    """Vectors of texts, each made once."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self._places = {text: place for place, text in enumerate(texts)}
        self._rows = embedder.embed(texts)

    def of(self, texts: Sequence[str]) -> Matrix:
        """One row a text."""
        return self._rows[[self._places[text] for text in texts]]

    def judged(self, trial: Trial, ordinary: Sequence[str], score: Score) -> Judged:
        """What a way of scoring says of a trial."""
        known = self.of(trial.examples), self.of(trial.counter_examples)
        parts = (trial.positives, trial.near_misses, ordinary)
        return Judged(*(score(self.of(texts), *known) for texts in parts))


def nearest(rows: Matrix, examples: Matrix, near: Matrix) -> Matrix:
    """Cosine to the nearest example."""
    del near
    return np.asarray((rows @ examples.T).max(axis=1))


def margin(rows: Matrix, examples: Matrix, near: Matrix) -> Matrix:
    """Cosine to the nearest example less that to the nearest counter-example."""
    return np.asarray((rows @ examples.T).max(axis=1) - (rows @ near.T).max(axis=1))


def centroid(rows: Matrix, examples: Matrix, near: Matrix) -> Matrix:
    """Cosine to the mean of the examples less half of that to the nearest counter-example."""
    middle = examples.mean(axis=0)
    return np.asarray(rows @ (middle / np.linalg.norm(middle)) - 0.5 * (rows @ near.T).max(axis=1))


WAYS: Mapping[str, Score] = {"nearest": nearest, "margin": margin, "centroid": centroid, "in use": likeness}


def report(judged: Sequence[Judged], middle: float | None = None) -> str:
    """One line; see the module.

    Args:
        judged: scores of trials.
        middle: score at probability .5; unknown by default.
    """
    own, near, ordinary = (
        np.concatenate([getattr(one, part) for one in judged]) for part in ("positives", "near_misses", "ordinary")
    )
    at = calibrate.threshold(ordinary.tolist(), 0.01)
    found = f"at .01: {np.mean(own >= at):.2f} and {np.mean(near >= at):.2f}"
    if middle is not None:
        shares = [float(np.mean(part >= middle)) for part in (own, near, ordinary)]
        found += f", at p .5: {shares[0]:.2f}, {shares[1]:.2f} and {shares[2]:.4f}"
    return f"AUC {_auc(judged, 'near_misses'):.3f} {_auc(judged, 'ordinary'):.3f}; {found}"


def _auc(judged: Sequence[Judged], others: str) -> float:
    each = []
    for one in judged:
        rest = getattr(one, others)
        each.append(
            evaluate.auc(np.concatenate([one.positives, rest]), np.repeat((1, 0), (len(one.positives), len(rest))))
        )
    return float(np.mean([value for value in each if value is not None]))


def fitted(judged: Sequence[Judged]) -> calibrate.Platt:
    """The curve for `SHARE`; near misses weigh as much as ordinary texts."""
    own = np.concatenate([one.positives for one in judged])
    near = np.concatenate([one.near_misses for one in judged])
    ordinary = np.concatenate([one.ordinary for one in judged])
    near = np.repeat(near, max(1, len(ordinary) // len(near)))
    scores = np.concatenate([own, near, ordinary])
    return calibrate.fit(scores.tolist(), [1] * len(own) + [0] * (len(near) + len(ordinary)), prior=SHARE)


def trials(path: Path) -> list[Trial]:
    """Those of ``scanners.jsonl``."""
    fields = ("half", "examples", "counter_examples", "positives", "near_misses")
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [Trial(**{name: row[name] for name in fields}) for row in rows]


def request_trials(folder: Path, seed: int) -> list[Trial]:
    """Kinds of assistant requests, each against others of its domain."""
    chance = random.Random(seed)
    by_kind: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in read_rows(folder / "topics_clinc_train.jsonl.gz"):
        if row["category"] != "oos":
            by_kind[row["category"], row["intent"]].append(row["text"])
    result = []
    for kind in sorted(by_kind)[:: len(by_kind) // REQUESTS]:
        own = chance.sample(by_kind[kind], 16)
        others = [by_kind[other] for other in sorted(by_kind) if other[0] == kind[0] and other != kind]
        near = [chance.choice(chance.choice(others)) for _ in range(13)]
        result.append(Trial("requests", own[:6], near[:3], own[6:], near[3:]))
    return result


def ordinary_texts(folder: Path, seed: int) -> list[str]:
    """Beginnings of mails, documents, tool results, code and questions."""
    rows = read_rows(folder / "benign_train.jsonl.gz")
    groups: Mapping[str, list[str]] = defaultdict(list)
    for row in rows:
        name = row["category"]
        # Other prompts of that file are the requests that are judged.
        if not name.startswith("prompt/") or name in {"prompt/question", "prompt/tool_request"}:
            groups[name if name.startswith("prompt/") else name.split("/")[0]].append(row["text"][:LONGEST])
    chance = random.Random(seed)
    drawn = [chance.sample(texts, min(len(texts), ORDINARY // len(groups))) for _, texts in sorted(groups.items())]
    return list(dict.fromkeys(text for texts in drawn for text in texts))


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure scanners by examples, and fit their curve.")
    parser.add_argument("--scanners", type=Path, required=True, help="scanners.jsonl")
    parser.add_argument("--data", type=Path, required=True, help="folder with benign_train and topics_clinc_train")
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="folder of the encoder")
    parser.add_argument("--compare", action="store_true", help="print other ways too")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args(arguments)

    tried = trials(options.scanners) + request_trials(options.data, options.seed)
    ordinary = ordinary_texts(options.data, options.seed)
    texts = list(dict.fromkeys([*ordinary, *(text for trial in tried for text in trial.texts)]))
    halves = [("fit", "fit"), ("requests", "requests"), ("held", "held back")]

    def show(name: str, rows: Rows, score: Score, middle: float | None = None) -> dict[str, list[Judged]]:
        results: dict[str, list[Judged]] = {}
        for half, title in halves if middle is not None else halves[:-1]:  # a choice must not see what is held back
            results[half] = [rows.judged(trial, ordinary, score) for trial in tried if trial.half == half]
            print(f"{name}, {title}: {report(results[half], middle)}", flush=True)
        return results

    ways = WAYS if options.compare else {"in use": likeness}
    for title, embedder in (("n-grams", NgramEmbedder()), ("encoder", MeaningEmbedder(options.model))):
        rows = Rows(texts, embedder)
        for way, score in ways.items():
            results = show(f"{title}, {way}", rows, score, embedder.similar_at if score is likeness else None)
        curve = fitted([*results["fit"], *results["requests"]])
        print(f"{title}: curve {curve.a:.2f} * (likeness - {-curve.b / curve.a:.3f})")


if __name__ == "__main__":
    main()
