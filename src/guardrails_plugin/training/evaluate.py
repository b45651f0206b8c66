"""Quality numbers by group: recall and false-positive rate at a threshold, area under the curve."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guardrails_plugin.evaluation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from guardrails_plugin.training.data import Example


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts and rates of one group of texts; a rate is None without texts of that label."""

    name: str
    attacks: int
    benign: int
    auc: float | None
    recall: Mapping[str, float | None]
    false_positives: Mapping[str, float | None]


def auc(scores: Sequence[float] | NDArray[np.float64], labels: Sequence[int] | NDArray[np.int64]) -> float | None:
    """`evaluation.metrics.auc` for labels of 0 and 1; None without texts of both.

    >>> auc([0.1, 0.4, 0.8], [0, 0, 1])
    1.0
    """
    area = metrics.auc(np.asarray(scores, np.float64), np.asarray(labels) == 1)
    return None if np.isnan(area) else area


def quality(
    name: str, scores: NDArray[np.float64], labels: NDArray[np.int64], thresholds: Mapping[str, NDArray[np.float64]]
) -> Quality:
    """Quality of one group; `thresholds` holds, for each operating point, the threshold of every text."""
    attack, benign = labels == 1, labels == 0
    flagged = {point: scores >= limit for point, limit in thresholds.items()}
    return Quality(
        name=name,
        attacks=int(attack.sum()),
        benign=int(benign.sum()),
        auc=auc(scores, labels),
        recall={point: _share(hits, attack) for point, hits in flagged.items()},
        false_positives={point: _share(hits, benign) for point, hits in flagged.items()},
    )


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(hits[among].mean()) if among.any() else None


def by_group(
    examples: Sequence[Example],
    scores: NDArray[np.float64],
    thresholds: Mapping[str, Mapping[str, float]],
    key: Callable[[Example], str],
    *,
    least: int = 1,
) -> list[Quality]:
    """Quality of every group that `key` names, groups of fewer than `least` texts left out.

    Args:
        examples: labelled texts.
        scores: their probabilities.
        thresholds: by operating point, then by origin.
        key: group of an example.
        least: fewest texts of a group.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for number, example in enumerate(examples):
        members[key(example)].append(number)
    labels = np.asarray([example.label for example in examples], np.int64)
    limits = {
        point: np.asarray([by_origin[example.origin] for example in examples], np.float64)
        for point, by_origin in thresholds.items()
    }
    return [
        quality(name, scores[rows], labels[rows], {point: limit[rows] for point, limit in limits.items()})
        for name, rows in sorted(members.items())
        if len(rows) >= least
    ]


def table(groups: Sequence[Quality]) -> str:
    """A Markdown table of groups: recall / false-positive rate at every operating point."""
    points = list(groups[0].recall) if groups else []
    lines = [
        "| group | attacks | benign | AUC | " + " | ".join(f"{point} recall / FPR" for point in points) + " |",
        "|---|---|---|---|" + "---|" * len(points),
    ]
    for group in groups:
        cells = [f"{_number(group.recall[point])} / {_number(group.false_positives[point])}" for point in points]
        head = f"| {group.name} | {group.attacks} | {group.benign} | {_number(group.auc)} | "
        lines.append(head + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
