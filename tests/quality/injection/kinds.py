"""How often the classifier names what an attack is after, and rightly.

Held back: every fifth pair of ``data/kinds``. Blind: ``data/blind/kinds.jsonl`` names the kinds of the attacks of the
fifth and sixth blind sets. Both were named by several readers who did not see what the classifier says; which of two
aims a text has is at times a matter of opinion, so a share of 1 is out of reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardrails_plugin.evaluation.split import is_held_back
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin
from tests.quality.injection.rows import DATA, drawn
from tests.quality.measure_injection import BLIND, rows_of


@dataclass(frozen=True, slots=True)
class Aimed:
    """An attack and what it is after."""

    document: Document
    kind: str


def held_back() -> list[Aimed]:
    """Hand-written attacks by which the least probability was chosen, but nothing else."""
    rows = [row for path in sorted((DATA / "kinds").glob("*.jsonl")) for row in rows_of(path)]
    return [_aimed(row, row["category"]) for row in rows if is_held_back(row["text"], row["pair"])]


def blind() -> list[Aimed]:
    """Attacks of two blind sets."""
    kinds = {row["id"]: row["kind"] for row in rows_of(BLIND / "kinds.jsonl")}
    folders = (BLIND / f"injection_{name}" for name in ("fifth", "sixth"))
    rows = [row for folder in folders for path in sorted(folder.glob("*.jsonl")) for row in rows_of(path)]
    return [_aimed(row, kinds[row["id"]]) for row in rows if row["id"] in kinds]


def named(attacks: Sequence[Aimed]) -> Counter[tuple[str, str]]:
    """How many of each kind the classifier calls what."""
    readings = load_encoder(EMBEDDED).read([attack.document for attack in attacks])
    return Counter((attack.kind, reading.kind) for attack, reading in zip(attacks, readings, strict=True))


def told(counts: Counter[tuple[str, str]]) -> float:
    """Share of the attacks that are called something."""
    return sum(number for (_, said), number in counts.items() if said) / counts.total()


def right(counts: Counter[tuple[str, str]]) -> float:
    """Share of those that are called what they are."""
    return sum(number for (kind, said), number in counts.items() if kind == said) / (told(counts) * counts.total())


def lines(scale: float) -> Iterator[str]:
    """The table."""
    for name, every in (("held back", held_back()), ("blind", blind())):
        counts = named(drawn(every, round(len(every) * scale)))
        yield f"{name}: {counts.total()} attacks, {told(counts):.3f} named, {right(counts):.3f} of these rightly"
        for kind in sorted({kind for kind, _ in counts}):
            own = Counter({said: number for (true, said), number in counts.items() if true == kind})
            said = ", ".join(
                f"{other or 'not named'} {number / own.total():.2f}" for other, number in own.most_common(3)
            )
            yield f"    {kind:<13}{own.total():4}  {said}"


def _aimed(row: Mapping[str, Any], kind: str) -> Aimed:
    document = Document(str(row["text"]), Origin(str(row.get("origin") or "user")))
    return Aimed(document, kind)
