"""Finds what the user's own regular expressions match, in linear time on every input.

How: google-re2 only (finite automata, Cox, "Regular Expression Matching Can Be Simple And Fast", 2007), in the one
pass over the text that all pattern detectors share. What re2 does not support is refused when the detector is made:
look-around, back-references, repeats over 1000. So are patterns that match nothing at all, such as ``a*``.
Source: RE2 (Cox, "Regular Expression Matching Can Be Simple And Fast", 2007); the patterns are the user's.
Limits: no checksum and no context words; for these write a detector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Finding

__all__ = ["Regex"]

_PROBES = ("", "a", "0", " ", "a b", "a1\n", "-", "\u00e9")
"""Texts on which a pattern that can match nothing does so: ends, word boundaries and line ends included."""


@dataclass(frozen=True, config=SETTINGS)
class Regex(PatternBase):
    """Your own patterns.

    Attributes:
        patterns_: name -> regular expression, given as ``patterns``. The name in ``UPPER_SNAKE`` is the entity type; a
            group ``value``, ``(?P<value>...)``, selects the part that is found.
        ignore_case: upper and lower case letters are alike.
        score: probability that a match is what its name says.
    """

    expressions: dict[str, str] = Field(alias="patterns", min_length=1)
    ignore_case: bool = False
    score: Annotated[float, Field(ge=0, le=1)] = 0.9

    name: ClassVar[str] = "regex"

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            _check(pattern)

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """One row per expression."""
        return tuple(
            Pattern(
                id=name,
                regex=regex,
                entity_type=_entity_type(name),
                score=self.score,
                ignore_case=self.ignore_case,
                foreign=True,
            )
            for name, regex in self.expressions.items()
        )

    @cached_property
    def entity_types(self) -> frozenset[str]:  # type: ignore[override]
        """The names, as entity types."""
        return frozenset(pattern.entity_type for pattern in self.patterns)

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:  # type: ignore[override]
        """None."""
        return {}

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        return match.finding(self.name, score=match.pattern.score) if match.start < match.end else None


def _entity_type(name: str) -> str:
    """``"Employee id"`` -> ``"EMPLOYEE_ID"``."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").upper()


def _check(pattern: Pattern) -> None:
    where = f"regex: patterns[{pattern.id!r}]"
    if not pattern.entity_type:
        raise ConfigError(f"{where}: a name needs a letter or digit, it becomes the entity type")
    try:
        compiled = pattern.compiled
    except ConfigError as error:
        raise ConfigError(f"regex: patterns[{pattern.id!r}]: {str(error).partition(': ')[2]}") from None
    for probe in _PROBES:
        found = compiled.search(probe.encode())
        if found is not None and found.start() == found.end():
            raise ConfigError(f"{where}: matches the empty string, so it would match everywhere")
