"""The common words of ``detectors.vocabulary``: those that stand in most training texts, a line a language.

A text counts a word once, so that one long document says no more than a short one. A word belongs to the first language
that has it, English before all others; only languages in Latin script with many texts are listed.

    python -m guardrails_plugin.training.common_words --data DIR
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from guardrails_plugin.training.data import read_all

if TYPE_CHECKING:
    from guardrails_plugin.training.data import Example

__all__ = ["LANGUAGES", "common", "main"]

LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "nl", "pl", "tr", "ro", "cs", "sv", "id", "hu", "vi")
ENGLISH, OTHERS = 6500, 500
"""Words of a language at most."""

FEWEST = 5
"""Texts that a word stands in at least: a name in one document is no word of its language."""

_WORD = re.compile(r"[^\W\d_]{2,16}")
_NOT_PLAIN = re.compile(r"obf|encod|mixed")
_FILES = ("injection_train.jsonl.gz", "benign_train.jsonl.gz")


def common(examples: Iterable[Example]) -> dict[str, list[str]]:
    """Words by language, the most frequent first.

    >>> from guardrails_plugin.training.data import Example
    >>> common([Example("the cat", 0, "user", lang="en")] * 5 + [Example("die the Katze", 0, "user", lang="de")] * 6)
    {'en': ['cat', 'the'], 'de': ['die', 'katze']}
    """
    counts: Mapping[str, Counter[str]] = {language: Counter() for language in LANGUAGES}
    for example in examples:
        if example.lang in counts and not _NOT_PLAIN.search(example.category):
            counts[example.lang].update({word.lower() for word in _WORD.findall(example.text) if word.isalpha()})
    known: set[str] = set()
    listed: dict[str, list[str]] = {}
    for language, words in counts.items():
        most = ENGLISH if language == "en" else OTHERS
        # Ties go by the alphabet: the same texts give the same file, in whatever order they come.
        ranked = sorted((word for word, texts in words.items() if texts >= FEWEST), key=lambda w: (-words[w], w))
        kept = [word for word in ranked if word not in known][:most]
        if kept:
            listed[language] = kept
        known.update(kept)
    return listed


def main(arguments: list[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Counts the common words of the training data.")
    parser.add_argument("--data", type=Path, required=True, help="folder of " + " and ".join(_FILES))
    parser.add_argument("--own", type=Path, default=Path("data/injection"), help="folder of hand-written rows")
    parser.add_argument("--out", type=Path, default=Path("src/guardrails_plugin/detectors/data/common_words.txt"))
    given = parser.parse_args(arguments)
    examples = read_all([*(given.data / name for name in _FILES), *sorted(given.own.glob("*.jsonl"))])
    lines = [f"{language}\t{' '.join(words)}\n" for language, words in common(examples).items()]
    given.out.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
