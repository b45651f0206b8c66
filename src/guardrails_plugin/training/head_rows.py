"""Chooses the rows that teach the further heads, and those on which they are calibrated."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardrails_plugin.evaluation.split import bucket, is_held_back, normal_form
from guardrails_plugin.training.data import EXTERNAL, USER, Example, deduplicated, family, files
from guardrails_plugin.training.heads import CALM, labelled_rows
from guardrails_plugin.training.scrambles import scrambled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST = 3500
"""Rows of one source and label: two sources are three quarters of the file, tweets in one dialect and Korean news
comments, and would set the rule."""

SCRAMBLED, SCRAMBLED_DEV = 1200, 150
"""Calm texts that are taken apart to teach what gibberish is, and to calibrate it."""

OWN_COPIES = 3


@dataclass(frozen=True, slots=True)
class HeadRows:
    """Rows to train on, rows of the file's own dev part, and hand-written rows held back."""

    train: list[Example]
    dev: list[Example]
    own_held_back: list[Example]


NOTHING = HeadRows([], [], [])


def read_head_rows(
    public: Path,
    own: Sequence[Path],
    calm: Sequence[Example] = (),
    held_calm: Sequence[Example] = (),
    *,
    seed: int,
    new: str = "",
    rehearsed: int = 0,
) -> HeadRows:
    """The rows of a public file on toxicity, capped by source, and of folders of hand-written ``.jsonl`` files.

    A row's origin makes no difference to these heads, so each is given one by lot, the same on every run.

    Args:
        public: the file.
        own: the folders.
        calm: benign texts, of which some are taken apart to teach what gibberish is (`scrambles`).
        held_calm: the same to calibrate it.
        seed: of what is drawn.
        new: pattern of names of files in `own` that are taught whole, beside `rehearsed` rows of all others.
        rehearsed: only with `new`.
    """
    rng = random.Random(seed)
    rows = [_placed(row) for row in labelled_rows(public)]
    written = [path for folder in own for path in files(folder)]
    old, held = _written(path for path in written if not (new and path.match(new)))
    fresh, held_fresh = _written(path for path in written if new and path.match(new))
    train = [*_capped((row for row in rows if row.split != "dev"), rng), *old]
    train += scrambled([row for row in calm if family(row.source) in CALM], SCRAMBLED, seed=seed)
    if new:
        train = [*rng.sample(train, min(rehearsed, len(train))), *fresh]
    dev = [row for row in rows if row.split == "dev"]
    return HeadRows(train, [*dev, *scrambled(held_calm, SCRAMBLED_DEV, seed=seed)], [*held, *held_fresh])


def _written(files: Iterable[Path]) -> tuple[list[Example], list[Example]]:
    """Hand-written rows to train on, several times each, and those held back."""
    rows = [_placed(row) for path in files for row in labelled_rows(path)]
    held = [row for row in rows if is_held_back(row.text, row.pair)]
    out = {normal_form(row.text) for row in held}
    return [row for row in rows if normal_form(row.text) not in out] * OWN_COPIES, held


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
