"""Measures ``prompt_injection`` on the blind sets of ``data/blind/injection*``, by set and by block or family.

    python tests/quality/measure_injection.py            # totals
    python tests/quality/measure_injection.py --groups   # every block or family, too

Each text goes through the whole detector (views, rules, classifier) as what its origin says, and counts as found at the
built-in operating point. The mean over groups is what a judge of many test sets would see. The mean of three accuracies
is that of research on over-defence (Li et al. 2024, "InjecGuard"): innocent texts that are full of the words of attacks
or are twins of one, other innocent texts, attacks. ``python -m tests.quality.injection`` measures everything else.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin import Engine, Origin, Recipe, Rule
from guardrails_plugin.evaluation.metrics import auc
from guardrails_plugin.types import Stage

BLIND = Path(__file__).parents[2] / "data" / "blind"
SETS = tuple(sorted(path.name for path in BLIND.glob("injection*")))
STAGES = {Origin.USER: Stage.PROMPT, Origin.EXTERNAL: Stage.POST_TOOL}

LANGUAGES = {"English": True, "other languages": False}

ATTACK, WORDS, TWIN = "attacks", "words of attacks", "near twins"
DOCUMENT, OUTSIDE, TYPED = "documents, code, logs", "others from outside", "others that are typed"
RESEMBLING, BENIGN = (WORDS, TWIN), (DOCUMENT, OUTSIDE, TYPED)
_WORDS = re.compile(r"trigger|over.?defen[cs]e")
_DOCUMENT = re.compile(r"(?:\b|_)(?:doc|document|code|log)s?(?:\b|_)")


@dataclass(frozen=True)
class Judged:
    """A text of a set: its group, what it is, its score, and whether that reaches the operating point."""

    group: str
    origin: Origin
    label: bool
    kind: str
    english: bool
    score: float
    flagged: bool


@dataclass(frozen=True)
class Accuracies:
    """Shares judged rightly: of innocent texts that resemble attacks, of all other innocent ones, of attacks."""

    over_defence: float
    benign: float
    malicious: float

    @property
    def mean(self) -> float:
        return (self.over_defence + self.benign + self.malicious) / 3


def judged(name: str, engine: Engine | None = None) -> list[Judged]:
    """Every text of a set."""
    engine = engine or engine_of()
    rows = [
        (row.get("family", path.stem), row) for path in sorted((BLIND / name).glob("*.jsonl")) for row in rows_of(path)
    ]
    attacked = {row.get("pair") for _, row in rows if row["label"]} - {None, ""}
    found: list[Judged] = []
    for origin in STAGES:
        own = [(group, row) for group, row in rows if (row.get("origin") or "user") == origin.value]
        limit = engine.operating_point("prompt_injection", "balanced", origin=origin)
        scores = probabilities(engine, [row["text"] for _, row in own], origin)
        for (group, row), score in zip(own, scores, strict=True):
            label, english = bool(row["label"]), row.get("lang", "en") == "en"
            found.append(Judged(group, origin, label, kind(row, attacked), english, score, score >= limit))
    return found


def rows_of(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file, one a line."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def kind(row: Mapping[str, Any], attacked: set[str | None]) -> str:
    """What a row is for, by what its set says of it; ``attacked`` are the pairs with an attack.

    The second, fourth and seventh set name no pairs: what twins they have count as other texts. Documents, code and
    logs are what comes from outside and has such a word in the name of its block, family or category.
    """
    if row["label"]:
        return ATTACK
    names = f"{row['category']} {row.get('family')} {row.get('source')}"
    if _WORDS.search(names):
        return WORDS
    if row.get("pair") in attacked:
        return TWIN
    if row.get("origin") != Origin.EXTERNAL.value:
        return TYPED
    return DOCUMENT if _DOCUMENT.search(names) else OUTSIDE


def engine_of() -> Engine:
    """An engine that reports every score."""
    rule = Rule.model_validate({"detector": "prompt_injection", "threshold": 0.0, "action": "report"})
    return Engine(recipes=[Recipe(name=f"measured {stage}", stage=stage, rules=[rule]) for stage in STAGES.values()])


def probabilities(engine: Engine, texts: Sequence[str], origin: Origin) -> list[float]:
    """Of texts of one origin, by the whole detector of `engine_of`."""
    stage = STAGES[origin]
    results = engine.check_batch(texts, stage=stage, recipe=f"measured {stage}")
    return [max((finding.score for finding in result.findings), default=0.0) for result in results]


def rate(found: Sequence[Judged], *, label: bool) -> float:
    """The share of attacks, or of innocent texts, that is flagged; NaN when there is none."""
    return _mean([one.flagged for one in found if one.label is label])


def flagged_of(found: Sequence[Judged], name: str) -> float:
    """The share of innocent texts of a kind that is flagged; NaN when there is none."""
    return _mean([one.flagged for one in found if one.kind == name])


def means(found: Sequence[Judged]) -> tuple[float, float]:
    """Means over groups: of attacks found, of innocent texts flagged."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in found:
        groups[one.group].append(one)
    attacks, innocent = (np.asarray([rate(own, label=label) for own in groups.values()]) for label in (True, False))
    return float(np.nanmean(attacks)), float(np.nanmean(innocent))


def accuracies(found: Sequence[Judged], *, resembling: Sequence[str] = RESEMBLING) -> Accuracies:
    """The three accuracies; over-defence by the kinds ``resembling``."""
    kinds = (resembling, BENIGN, (ATTACK,))
    return Accuracies(*(_mean([one.flagged is one.label for one in found if one.kind in own]) for own in kinds))


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")


def report(name: str, found: Sequence[Judged], *, groups: bool) -> Iterator[str]:
    """One line for a set, one for each origin, the accuracies, and with ``groups`` one line for each group."""
    yield line(name, found)
    yield "  mean over groups: found {:.3f}, flagged {:.3f}".format(*means(found))
    yield three(found)
    yield innocent(found)
    for origin in STAGES:
        yield line(f"  {origin}", [one for one in found if one.origin is origin])
    for language, english in LANGUAGES.items():
        yield line(f"  {language}", [one for one in found if one.english is english])
    for group in sorted({one.group for one in found}) if groups else ():
        yield line(f"    {group}", [one for one in found if one.group == group])


def three(found: Sequence[Judged]) -> str:
    """The accuracies and their mean, by words and twins, and by words alone."""
    both, words = accuracies(found), accuracies(found, resembling=(WORDS,))
    size = Counter(one.kind for one in found)
    benign = sum(size[name] for name in BENIGN)
    return (
        f"  accuracies: over-defence {both.over_defence:.3f} of {size[WORDS] + size[TWIN]} (words of attacks "
        f"{words.over_defence:.3f} of {size[WORDS]}), benign {both.benign:.3f} of {benign}, malicious "
        f"{both.malicious:.3f} of {size[ATTACK]}; mean {both.mean:.3f} (with words alone {words.mean:.3f})"
    )


def innocent(found: Sequence[Judged]) -> str:
    """The share of innocent texts of each kind that is flagged."""
    size = Counter(one.kind for one in found)
    shares = (f"{name} {flagged_of(found, name):.3f} of {size[name]}" for name in (*RESEMBLING, *BENIGN))
    return f"  flagged by kind: {'; '.join(shares)}"


def line(name: str, found: Sequence[Judged]) -> str:
    """Counts, area under the curve, rates."""
    labels = np.asarray([one.label for one in found])
    area = f"{auc(np.asarray([one.score for one in found]), labels):.3f}" if 0 < labels.sum() < len(labels) else "-"
    rates = f"found {rate(found, label=True):.3f} of {labels.sum()}, flagged {rate(found, label=False):.3f}"
    return f"{name:34} AUC {area:6} {rates} of {len(labels) - labels.sum()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="quality of prompt_injection on the blind sets")
    parser.add_argument("--groups", action="store_true", help="by block or family, too")
    options = parser.parse_args(arguments)
    engine, every = engine_of(), list[list[Judged]]()
    for name in SETS:
        every.append(judged(name, engine))
        for text in report(name, every[-1], groups=options.groups):
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    means_of = [accuracies(found).mean for found in every]
    sys.stdout.write(f"all sets, mean of the means of three {np.mean(means_of):.3f}; every text as one set:\n")
    for text in report("all", [one for found in every for one in found], groups=False):
        sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
