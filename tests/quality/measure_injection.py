"""Measures ``prompt_injection`` on the blind sets of ``data/blind/injection*``, by set and by block or family.

    python tests/quality/measure_injection.py            # totals
    python tests/quality/measure_injection.py --groups   # every block or family, too

Each text goes through the whole detector (views, rules, classifier) as what its origin says, and counts as found at the
built-in operating point. The mean over groups is what a judge of many test sets would see.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guardrails_plugin import Engine, Origin, Recipe, Rule
from guardrails_plugin.evaluation.metrics import auc
from guardrails_plugin.types import Stage

BLIND = Path(__file__).parents[2] / "data" / "blind"
SETS = tuple(sorted(path.name for path in BLIND.glob("injection*")))
STAGES = {Origin.USER: Stage.PROMPT, Origin.EXTERNAL: Stage.POST_TOOL}


@dataclass(frozen=True)
class Judged:
    """A text of a set: its group, what it is, its score, and whether that reaches the operating point."""

    group: str
    origin: Origin
    label: bool
    score: float
    flagged: bool


def judged(name: str, engine: Engine | None = None) -> list[Judged]:
    """Every text of a set."""
    engine = engine or engine_of()
    rows = [
        (row.get("family", path.stem), row)
        for path in sorted((BLIND / name).glob("*.jsonl"))
        for row in map(json.loads, path.read_text("utf-8").splitlines())
    ]
    found: list[Judged] = []
    for origin, stage in STAGES.items():
        own = [(group, row) for group, row in rows if (row.get("origin") or "user") == origin.value]
        limit = engine.operating_point("prompt_injection", "balanced", origin=origin)
        results = engine.check_batch([row["text"] for _, row in own], stage=stage.value, recipe=f"measured {stage}")
        for (group, row), result in zip(own, results, strict=True):
            score = max((finding.score for finding in result.findings), default=0.0)
            found.append(Judged(group, origin, bool(row["label"]), score, score >= limit))
    return found


def engine_of() -> Engine:
    """An engine that reports every score."""
    rule = Rule.model_validate({"detector": "prompt_injection", "threshold": 0.0, "action": "report"})
    return Engine(recipes=[Recipe(name=f"measured {stage}", stage=stage, rules=[rule]) for stage in STAGES.values()])


def rate(found: Sequence[Judged], *, label: bool) -> float:
    """The share of attacks, or of innocent texts, that is flagged; NaN when there is none."""
    own = [one.flagged for one in found if one.label is label]
    return sum(own) / len(own) if own else float("nan")


def means(found: Sequence[Judged]) -> tuple[float, float]:
    """Means over groups: of attacks found, of innocent texts flagged."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in found:
        groups[one.group].append(one)
    attacks, innocent = (np.asarray([rate(own, label=label) for own in groups.values()]) for label in (True, False))
    return float(np.nanmean(attacks)), float(np.nanmean(innocent))


def report(name: str, found: Sequence[Judged], *, groups: bool) -> Iterator[str]:
    """One line for a set, one for each origin, and with ``groups`` one for each group."""
    yield line(name, found)
    yield "  mean over groups: found {:.3f}, flagged {:.3f}".format(*means(found))
    for origin in STAGES:
        yield line(f"  {origin}", [one for one in found if one.origin is origin])
    for group in sorted({one.group for one in found}) if groups else ():
        yield line(f"    {group}", [one for one in found if one.group == group])


def line(name: str, found: Sequence[Judged]) -> str:
    """Counts, area under the curve, rates."""
    labels = np.asarray([one.label for one in found])
    area = f"{auc(np.asarray([one.score for one in found]), labels):.3f}" if 0 < labels.sum() < len(labels) else "-"
    rates = f"found {rate(found, label=True):.3f} of {labels.sum()}, flagged {rate(found, label=False):.3f}"
    return f"{name:34} AUC {area:6} {rates} of {len(labels) - labels.sum()}"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="quality of prompt_injection on the blind sets")
    parser.add_argument("--groups", action="store_true", help="by block or family, too")
    options = parser.parse_args()
    engine = engine_of()
    for name in SETS:
        for text in report(name, judged(name, engine), groups=options.groups):
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
