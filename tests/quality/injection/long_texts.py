"""Attacks in long documents: of those that are found alone, how many still are; and what the first tier has read.

The documents are real prose that is there wherever Python is (its language reference and the docstrings of its standard
library, an earlier state of which was trained on as innocent) and held-back innocent texts from outside, one after the
other. An attack stands before the document, at a paragraph in its middle, or behind it. Documents that are flagged by
themselves are counted and left out of the rest.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from guardrails_plugin import Origin
from guardrails_plugin.detectors import injection_jobs
from tests.quality.injection.rows import Judge, Row, drawn, held_back

KILOBYTE = 1024
SIZES = {4: (60, 150), 16: (30, 80), 64: (12, 60), 256: (4, 40)}
"""Documents and attacks by kilobytes of a document; reading a quarter of a megabyte takes seconds."""

PLACES = ("start", "middle", "end")
_LONGEST = 900


@dataclass(frozen=True, slots=True)
class Found:
    """Of documents of one size.

    Attributes:
        flagged: share of the documents that are flagged by themselves.
        found: share of the attacks at each place.
        read: share of the attacks at random places of which at least half is read by the classifier.
    """

    kilobytes: int
    documents: int
    attacks: int
    flagged: float
    found: dict[str, float]
    read: float


@cache
def python_prose() -> str:
    """The language reference, and docstrings of the standard library."""
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    trees = (ast.parse(path.read_text("utf-8")) for path in library)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, documented))
    told = [text for node in nodes if (text := ast.get_docstring(node))]
    return "\n\n".join([*(topics[name] for name in sorted(topics)), *told])


@cache
def innocent_prose() -> str:
    """Held-back innocent texts from outside, whatever their language, in a drawn order."""
    rows = [row for row in held_back() if not row.label and row.origin is Origin.EXTERNAL]
    return "\n\n".join(row.text for row in drawn(rows, len(rows)))


def documents(kilobytes: int, most: int) -> list[str]:
    """Pieces of prose of this size, as far apart as possible, three of Python's for one of the held-back."""
    size = kilobytes * KILOBYTE
    python, innocent = python_prose(), innocent_prose()
    fourth = min(max(1, most // 4), max(1, len(innocent) // size))
    return [*_pieces(python, size, most - fourth), *_pieces(innocent, size, fourth)]


def _pieces(text: str, size: int, most: int) -> Iterator[str]:
    number = max(1, min(most, len(text) // size))
    for start in range(0, number * (len(text) // number), len(text) // number):
        yield text[start : start + size]


def attacks(judge: Judge, most: int) -> list[Row]:
    """Held-back attacks from outside that are found alone."""
    return judge.kept(drawn(outside(), 2 * most), flagged=True)[:most]


def outside() -> list[Row]:
    """Held-back attacks from outside that are not documents themselves."""
    return [row for row in held_back() if row.label and row.origin is Origin.EXTERNAL and len(row.text) < _LONGEST]


def put(attack: str, document: str, place: float) -> tuple[str, int]:
    """The document with the attack as a paragraph at this share of it, and where the attack begins."""
    at = document.rfind("\n\n", 0, int(place * len(document)) + 1) if 0 < place < 1 else int(place * len(document))
    at = max(at, 0)
    before = f"{document[:at]}\n\n" if at else ""
    return f"{before}{attack}\n\n{document[at:]}", len(before)


def measured(judge: Judge, kilobytes: int, scale: float = 1.0, places: Sequence[str] = PLACES) -> Found:
    """Attacks in documents of one size."""
    most, wanted = (max(1, round(scale * number)) for number in SIZES[kilobytes])
    carriers = [Row(text, label=False, origin=Origin.EXTERNAL) for text in documents(kilobytes, most)]
    clean = judge.kept(carriers, flagged=False)
    own = attacks(judge, wanted)
    # By document, because the classifier remembers what it has read of it.
    pairs = [(clean[number % len(clean)], row) for number, row in enumerate(own if clean else ())]
    pairs.sort(key=lambda pair: id(pair[0]))
    found = {place: _share(judge, pairs, PLACES.index(place) / 2) for place in places}
    flagged = 1 - len(clean) / len(carriers)
    return Found(
        kilobytes, len(carriers), len(own), flagged, found, _read([(carrier.text, row.text) for carrier, row in pairs])
    )


def _share(judge: Judge, pairs: Sequence[tuple[Row, Row]], place: float) -> float:
    flags = [
        judge.flags([Row(put(attack.text, carrier.text, place)[0], label=True, origin=Origin.EXTERNAL)])[0]
        for carrier, attack in pairs
    ]
    return float(np.mean(flags)) if flags else float("nan")


def read_of(kilobytes: int) -> float:
    """`Found.read` of held-back attacks, found alone or not: without the classifier, so it takes no time."""
    carriers = documents(kilobytes, SIZES[kilobytes][0])
    return _read([(carriers[number % len(carriers)], row.text) for number, row in enumerate(drawn(outside(), 40))])


def _read(pairs: Sequence[tuple[str, str]]) -> float:
    rng = random.Random(1)
    shares = []
    for carrier, attack in pairs:
        text, start = put(attack, carrier, rng.uniform(0.05, 0.95))
        end = start + len(attack)
        spans = injection_jobs._read(text)
        seen = sum(max(0, min(span.end, end) - max(span.start, start)) for span in spans)
        shares.append(seen >= len(attack) / 2)
    return float(np.mean(shares)) if shares else float("nan")


def lines(scale: float) -> Iterator[str]:
    """The table."""
    judge = Judge()
    for kilobytes in SIZES:
        row = measured(judge, kilobytes, scale)
        places = ", ".join(f"{place} {share:.3f}" for place, share in row.found.items())
        yield (
            f"{row.kilobytes:4} KB  {row.documents} documents, flagged alone {row.flagged:.3f}; "
            f"of {row.attacks} attacks found {places}; read {row.read:.3f}"
        )
