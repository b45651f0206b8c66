"""Measures detectors of street addresses on ``data/addresses`` and on the addresses of ``data/blind/pii.jsonl``.

    python tests/quality/measure_addresses.py

An address is found when findings cover half of it, and found exactly when one finding is the address.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrails_plugin.detectors.pii import Pii
from guardrails_plugin.detectors.street_addresses import StreetAddresses
from guardrails_plugin.normalize import normalize
from guardrails_plugin.protocols import Detector
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

DATA = Path(__file__).parents[2] / "data"
Spans = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Result:
    """How many addresses there were, were found, and exactly; how many texts without one there were, and were hit."""

    addresses: int
    found: int
    exact: int
    others: int
    false: int

    def __str__(self) -> str:
        """In a line."""
        return f"found {self.found}/{self.addresses} (exactly {self.exact}), false in {self.false}/{self.others} texts"


def finder(detector: Detector, threshold: float = 0.5) -> Callable[[str], Spans]:
    """Spans of a text's findings."""

    def find(text: str) -> Spans:
        findings = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)[0]
        return frozenset((finding.start, finding.end) for finding in findings if finding.score >= threshold)

    return find


def measure(rows: Sequence[tuple[str, Sequence[str]]], find: Callable[[str], Spans]) -> Result:
    """The result on texts and the addresses in each."""
    found = exact = false = 0
    for text, addresses in rows:
        spans = find(text)
        false += bool(spans) and not addresses
        for address in addresses:
            start = text.index(address)
            end = start + len(address)
            covered = {at for first, last in spans for at in range(max(first, start), min(last, end))}
            found += 2 * len(covered) >= len(address)
            exact += (start, end) in spans
    total = sum(len(addresses) for _, addresses in rows)
    return Result(total, found, exact, sum(not addresses for _, addresses in rows), false)


def own() -> list[tuple[str, list[str]]]:
    """The rows of ``data/addresses``."""
    rows = map(json.loads, (DATA / "addresses" / "rows.jsonl").read_text("utf-8").splitlines())
    return [(row["text"], [row["address"]] if row["address"] else []) for row in rows]


def pii() -> list[tuple[str, list[str]]]:
    """The rows of ``data/blind/pii.jsonl`` with their addresses."""
    rows = map(json.loads, (DATA / "blind" / "pii.jsonl").read_text("utf-8").splitlines())
    return [(row["text"], [e["text"] for e in row["entities"] if e["type"] == "STREET_ADDRESS"]) for row in rows]


def main() -> None:
    """Prints a line for each detector and set."""
    detectors: dict[str, Detector] = {
        "street_addresses": StreetAddresses(),
        "pii, patterns": Pii(entities=("STREET_ADDRESS",)),
    }
    for name, detector in detectors.items():
        for label, rows in (("addresses", own()), ("pii", pii())):
            sys.stdout.write(f"{name} on {label}: {measure(rows, finder(detector))}\n")


if __name__ == "__main__":
    main()
