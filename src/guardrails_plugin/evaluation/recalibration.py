"""A threshold for a user's own traffic, from a log that is known to be benign.

Method: the split-conformal quantile (Vovk, Gammerman and Shafer 2005): of n benign scores the k-th lowest with
k = ceil((n + 1)(1 - rate)). Then a benign text like those of the log is flagged with probability at most ``rate``,
whatever the scores mean and however they are distributed. Below ``1 / rate - 1`` texts no finite threshold promises
that much: 0.1 % takes 999 benign texts, 1 % takes 99.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.recipes.recipe import Rule

__all__ = ["Recalibration", "needed", "recalibrated", "rule_lines"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
"""Names that stand in TOML without quotes."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A threshold and what it promises.

    Attributes:
        rate: the false-positive rate asked for.
        threshold: None when the log is too short for that rate, or too many of its texts score 1.
        rows: benign texts it comes from.
        needed: benign texts that this rate takes at least.
        flagged_before: share of the log that the old threshold flags; None without an old one.
    """

    rate: float
    threshold: float | None
    rows: int
    needed: int
    flagged_before: float | None


def needed(rate: float) -> int:
    """Benign texts without which no threshold promises this rate.

    >>> needed(0.001), needed(0.01), needed(0.05)
    (999, 99, 19)
    """
    return math.ceil(1 / rate - 1 - 1e-9)


def recalibrated(scores: NDArray[np.float64], rate: float, old: float | None) -> Recalibration:
    """The conformal threshold for a rate.

    Args:
        scores: of benign texts.
        rate: share of benign texts that may be flagged, between 0 and 1.
        old: threshold that they were judged by so far, if there was one.
    """
    rank = math.ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    highest = float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0
    threshold = _just_above(highest) if highest < 1.0 else None
    before = None if old is None else float((scores >= old).mean()) if len(scores) else 0.0
    return Recalibration(rate, threshold, len(scores), needed(rate), before)


def _just_above(score: float) -> float:
    """Six digits that read well in a recipe, when they leave room below 1."""
    rounded = (math.floor(score * 1e6) + 1) / 1e6
    return rounded if rounded < 1.0 else float(np.nextafter(score, np.inf))


def rule_lines(rule: Rule) -> str:
    """A rule in TOML, to be pasted in place of the old one: what was set in it, and no defaults."""
    data = rule.model_dump(exclude_unset=True)
    if data.get("name") == rule.detector:
        del data["name"]
    settings = data.pop("settings", {})
    lines = ["[[rules]]", *(f"{name} = {_toml(value)}" for name, value in data.items())]
    return "\n".join([*lines, *_tables("rules.settings", settings)]) + "\n"


def _tables(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A table of settings and those in it, each under a heading of its own."""
    inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    plain = [f"{_key(name)} = {_toml(value)}" for name, value in table.items() if name not in inner]
    if plain:
        yield from ("", f"[{path}]", *plain)
    for name, value in inner.items():
        yield from _tables(f"{path}.{_key(name)}", value)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        cells = ", ".join(f"{_key(name)} = {_toml(own)}" for name, own in value.items())
        return f"{{ {cells} }}" if cells else "{}"
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A TOML basic string: one of JSON, but without delete, and characters beyond the BMP are written plainly."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
