"""Chooses the rows that teach the further heads, and those on which they are calibrated."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardrails_plugin.training.data import EXTERNAL, USER, Example, bucket, deduplicated, family, normal_form
from guardrails_plugin.training.heads import labelled_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST = 3500
"""Rows of one source and label: two sources are three quarters of the file, tweets in one dialect and Korean news
comments, and would set the rule."""

OWN_COPIES = 3
HELD_EVERY = 5


@dataclass(frozen=True, slots=True)
class HeadRows:
    """Rows to train on, rows of the file's own dev part, and hand-written rows held back."""

    train: list[Example]
    dev: list[Example]
    own_held_back: list[Example]


NOTHING = HeadRows([], [], [])


def read_head_rows(public: Path, own: Sequence[Path], *, seed: int) -> HeadRows:
    """The rows of a public file on toxicity, capped by source, and of folders of hand-written ``.jsonl`` files.

    A row's origin makes no difference to these heads, so each is given one by lot, the same on every run.
    """
    rng = random.Random(seed)
    rows = [_placed(row) for row in labelled_rows(public)]
    files = [path for folder in own for path in sorted(folder.glob("*.jsonl"))]
    written = [_placed(row) for path in files for row in labelled_rows(path)]
    held = [row for row in written if bucket(row.pair or normal_form(row.text), HELD_EVERY) == 0]
    out = {normal_form(row.text) for row in held}
    train = _capped((row for row in rows if row.split != "dev"), rng)
    train += [row for row in written if normal_form(row.text) not in out] * OWN_COPIES
    return HeadRows(train, [row for row in rows if row.split == "dev"], held)


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
    """Whether more than half find the text toxic; a row that says nothing of it is not."""
    return dict(row.also).get("toxicity", 0.0) > 0.5


def holds_any(row: Example) -> bool:
    """Whether any label is more likely than not."""
    return any(share > 0.5 for _, share in row.also)


def shares(rows: Sequence[Example], label: str) -> list[tuple[Example, int]]:
    """The rows that say whether they are `label`, with the answer."""
    known = [(row, dict(row.also)) for row in rows]
    return [(row, int(labels[label] > 0.5)) for row, labels in known if label in labels]
