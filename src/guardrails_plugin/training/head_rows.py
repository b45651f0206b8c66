"""Chooses the rows that teach the toxicity head, and those on which it is calibrated."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardrails_plugin.training.data import EXTERNAL, USER, Example, bucket, deduplicated, family, normal_form
from guardrails_plugin.training.heads import toxicity_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST = 3500
"""Rows of one source and label: two sources are three quarters of the file, tweets in one dialect and Korean news
comments, and would set the rule."""

OWN_COPIES = 3
HELD_EVERY = 5


@dataclass(frozen=True, slots=True)
class ToxicityRows:
    """Rows to train on, rows of the file's own dev part, and hand-written rows held back."""

    train: list[Example]
    dev: list[Example]
    own_held_back: list[Example]


NOTHING = ToxicityRows([], [], [])


def read_toxicity(public: Path, own: Path | None, *, seed: int) -> ToxicityRows:
    """The rows of a public file, capped by source, and of a folder of hand-written ``.jsonl`` files.

    A row's origin makes no difference to this head, so each is given one by lot, the same on every run.
    """
    rng = random.Random(seed)
    rows = [_placed(row) for row in toxicity_rows(public)]
    written = [_placed(row) for path in sorted(own.glob("*.jsonl")) for row in toxicity_rows(path)] if own else []
    held = [row for row in written if bucket(row.pair or normal_form(row.text), HELD_EVERY) == 0]
    out = {normal_form(row.text) for row in held}
    train = _capped((row for row in rows if row.split != "dev"), rng)
    train += [row for row in written if normal_form(row.text) not in out] * OWN_COPIES
    return ToxicityRows(train, [row for row in rows if row.split == "dev"], held)


def _placed(row: Example) -> Example:
    return row if row.origin else replace(row, origin=(USER, EXTERNAL)[bucket(normal_form(row.text), 2)])


def _capped(rows: Iterable[Example], rng: random.Random) -> list[Example]:
    groups: dict[tuple[str, bool], list[Example]] = defaultdict(list)
    for row in deduplicated(rows):
        groups[family(row.source), toxic(row)].append(row)
    kept: list[Example] = []
    for _, members in sorted(groups.items()):
        kept += members if len(members) <= MOST else rng.sample(members, MOST)
    return kept


def toxic(row: Example) -> bool:
    """Whether more than half find the text toxic."""
    return dict(row.also)["toxicity"] > 0.5


def shares(rows: Sequence[Example], label: str) -> list[tuple[Example, int]]:
    """The rows that say whether they are `label`, with the answer."""
    known = [(row, dict(row.also)) for row in rows]
    return [(row, int(labels[label] > 0.5)) for row, labels in known if label in labels]
