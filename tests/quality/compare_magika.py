"""Whether magika (https://github.com/google/magika) would help the detector of code where its signatures are undecided.

    pip install magika && python tests/quality/compare_magika.py

Runs on ``data/blind/detectors/code.jsonl``. Magika is asked about regions that the signatures score below the
threshold, and, for comparison, which language the regions above it are in.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from guardrails_plugin.detectors.code_regions import code_in

FILE = Path(__file__).parents[2] / "data" / "blind" / "detectors" / "code.jsonl"
THRESHOLD = 0.5
SAME = {"shell": "bash", "cs": "csharp", "c++": "cpp"}
"""What magika and the detector call some languages of the set."""

Opinion = tuple[str, bool, float]


def regions() -> Iterator[tuple[bool, str, list[tuple[str, str, float]]]]:
    """Each row's label and category, and the code in it: text, language, score."""
    for row in map(json.loads, FILE.read_text("utf-8").splitlines()):
        found = [(row["text"][code.start : code.end], code.language, code.score) for code in code_in(row["text"])]
        yield bool(row["label"]), row["category"], found


def compare(ask: Callable[[str], Opinion]) -> Iterator[str]:
    """What the signatures find, what magika adds at its thresholds, and who names the language."""
    rows = list(regions())
    for label, kind in ((True, "found"), (False, "false")):
        every = [found for own, _, found in rows if own is label]
        sure = sum(any(score >= THRESHOLD for _, _, score in found) for found in every)
        yield f"signatures: {kind} {sure} of {len(every)}"
        doubtful = [found for found in every if found and all(score < THRESHOLD for _, _, score in found)]
        answers = [[ask(text) for text, _, _ in found] for found in doubtful]
        for least in (0.5, 0.7, 0.9):
            more = sum(any(code and score >= least for _, code, score in own) for own in answers)
            yield f"  magika at {least}: {more} more of {len(doubtful)} undecided"
    sure_ones = [(kind, *found[0]) for own, kind, found in rows if own and found and found[0][2] >= THRESHOLD]
    ours = sum(SAME.get(language, language) == kind for kind, _, language, _ in sure_ones)
    names = [(kind, ask(text)[0]) for kind, text, _, _ in sure_ones]
    theirs = sum(SAME.get(name, name) == kind for kind, name in names)
    yield f"language right: signatures {ours}, magika {theirs} of {len(sure_ones)}"


def main() -> None:
    """Prints the comparison."""
    model = importlib.import_module("magika").Magika()

    def ask(text: str) -> Opinion:
        output = model.identify_bytes(text.encode())
        return str(output.output.label), output.output.group == "code", float(output.score)

    sys.stdout.write("\n".join(compare(ask)) + "\n")


if __name__ == "__main__":
    main()
