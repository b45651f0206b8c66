"""The letter table of the ``gibberish`` detector: trigrams of words, counted in texts of many languages.

Every language weighs the same within its script, English as much as all others together, so that rare languages are no
gibberish. A letter's probability backs off to pairs and single letters (interpolated Witten-Bell smoothing, Chen and
Goodman, "An Empirical Study of Smoothing Techniques", 1998); only costs in sixteenths of a bit are kept, no text can be
read from them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin.detectors.letter_model import ALPHABETS, UNIT, plain
from guardrails_plugin.detectors.prose import prose

__all__ = ["costs", "count", "main", "rows"]

_WORD = re.compile(r"[^\W\d_]+")
_UNUSED = re.compile("code|obf|encod")
"""Categories of rows that are no prose, or scrambled."""

_LETTERS = 400_000.0
"""Letters that each script's counts are scaled to."""

_FEWEST = 5_000
"""Letters of a language under which its counts say nothing."""


def rows(path: Path) -> Iterator[tuple[str, str]]:
    """Language and text of the harmless training rows of a file (see the data's own description)."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            kept = row["label"] == 0 and row.get("split", "train") == "train" and row["lang"] not in ("code", "mixed")
            if kept and not _UNUSED.search(row.get("category", "")):
                yield row["lang"], row["text"]


def count(texts: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Trigram counts by script and language, ends of words included."""
    places = {s: {letter: n for n, letter in enumerate(letters, 1)} for s, letters in ALPHABETS.items()}
    owner = {letter: script for script, letters in ALPHABETS.items() for letter in letters}
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for language, text in texts:
        for word in _WORD.findall(prose(text)):
            letters = [plain(char) for char in word]
            script = owner.get(letters[0], "")
            if not script or any(owner.get(letter) != script for letter in letters):
                continue
            size = len(ALPHABETS[script]) + 1
            table = found[script].setdefault(language, np.zeros((size, size, size)))
            first = second = 0
            for place in (*(places[script][letter] for letter in letters), 0):
                table[first, second, place] += 1
                first, second = second, place
    return {script: _native(script, found) for script in found}


def _native(script: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A script's counts of the languages that are mostly written in it: the rest are names and quotations."""
    own = {language: table.sum() for language, table in found[script].items()}
    most = {
        language: max(tables[language].sum() for tables in found.values() if language in tables) for language in own
    }
    return {language: found[script][language] for language in own if own[language] == most[language] > _FEWEST}


def costs(counts: dict[str, Any]) -> Any:
    """Cost of each letter after two others, from the counts of a script's languages; uint8, sixteenths of a bit."""
    weights = {language: table.sum() for language, table in counts.items()}
    others = [language for language in counts if language != "en"]
    share = {language: (0.5 if "en" in counts and others else 1.0) / max(1, len(others)) for language in others}
    share["en"] = 1.0 - sum(share.values())
    total = sum(counts[name] * (share[name] * _LETTERS / weights[name]) for name in counts)
    size = total.shape[0]
    chance = np.full(size, 1 / size)
    for context in (total.sum((0, 1)), total.sum(0), total):
        seen = context.sum(-1, keepdims=True)
        kinds = (context > 0).sum(-1, keepdims=True) + 1.0
        chance = (context + kinds * chance) / (seen + kinds)
    return np.clip(np.round(-np.log2(chance) * UNIT), 0, 255).astype(np.uint8)


def main(arguments: list[str] | None = None) -> None:
    """Count files of training rows and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    counts = count(row for path in options.files for row in rows(path))
    tables = {script: costs(languages) for script, languages in counts.items()}
    np.savez_compressed(options.out, **tables)
    for script, languages in counts.items():
        print(script, {name: int(table.sum()) for name, table in sorted(languages.items())})


if __name__ == "__main__":
    main()
