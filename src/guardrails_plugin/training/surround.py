"""Puts hand-written attacks and their benign twins into documents, so that a window is judged by what it holds.

An attack found alone must be found between two paragraphs about something else, and those paragraphs alone must not
be flagged. Attack and twin stand in the same document at the same place in the same wrapper, as in `compose`; here
both sentences were written by hand and only their meaning differs.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from guardrails_plugin.training.compose import insert
from guardrails_plugin.training.contexts import MOST_PIECES, joined
from guardrails_plugin.training.data import EXTERNAL, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST_ROW = 700
"""Characters of a hand-written row that is put into a document."""

AROUND = (100, 1500)
"""Characters of the document around it, drawn so that every order of size is as likely: from a part of a window to
four windows."""

JOINED = 0.25
"""Share of the documents that are several pieces joined with lines of metadata."""

Pair = tuple[Example, Example]


def surrounded(pairs: Sequence[Pair], carriers: Sequence[Example], count: int, rng: random.Random) -> Iterator[Example]:
    """`count` times an attack in a document and what must not be flagged: its twin there, or the document alone.

    The twin of what a user types is a request to the model; inside a document it would be an order from outside.
    Such an attack is therefore set against the document alone.
    """
    for number in range(count if pairs and carriers else 0):
        attack, twin = rng.choice(pairs)
        carrier = rng.choice(carriers)
        body, seed = excerpt(carrier.text, rng), rng.random()
        around = _around(carriers, rng)
        marked = replace(
            attack,
            text=around(insert(body, attack.text, random.Random(seed))),
            origin=EXTERNAL,
            category="indirect/surrounded",
            source=f"surrounded→{carrier.source}",
            pair=f"surrounded-{number}",
        )
        inside = insert(body, twin.text, random.Random(seed)) if twin.origin == EXTERNAL else body
        yield marked
        yield replace(marked, text=around(inside), label=0, category="benign_document/surrounded")


def _around(carriers: Sequence[Example], rng: random.Random) -> Callable[[str], str]:
    """What becomes of a document and its twin: nothing, or one piece among others."""
    if rng.random() >= JOINED:
        return str
    others = [excerpt(rng.choice(carriers).text, rng) for _ in range(rng.randrange(MOST_PIECES))]
    place, seed = rng.randrange(len(others) + 1), rng.random()
    return lambda text: joined([*others[:place], text, *others[place:]], random.Random(seed))


def pairs_of(own: Sequence[Example]) -> list[Pair]:
    """Every attack with a benign row of its pair, as far as both are short enough."""
    groups: dict[str, tuple[list[Example], list[Example]]] = defaultdict(lambda: ([], []))
    for row in own:
        if row.pair and len(row.text) <= LONGEST_ROW:
            groups[row.pair][row.label].append(row)
    return [(attack, twins[0]) for twins, attacks in groups.values() if twins for attack in attacks]


def excerpt(text: str, rng: random.Random) -> str:
    """A drawn stretch of the text; all of it if it is structured, for half an object is no document."""
    least, most = AROUND
    size = int(least * (most / least) ** rng.random())
    if len(text) <= size:
        return text
    if text.lstrip()[:1] in ("{", "["):
        return text[:most]
    begin = rng.randrange(0, len(text) - size)
    return text[begin : begin + size]
