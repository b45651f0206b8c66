"""What detectors share: validated settings, and running a pattern table alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from pydantic import ConfigDict

from guardrails_plugin.matching import Match, Matcher, Pattern
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["SETTINGS", "PatternBase", "by_place", "confirmed"]

SETTINGS = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
"""Pydantic configuration of every detector's settings: a misspelt setting is an error, with its place."""


class PatternBase:
    """Base of detectors that declare patterns: subclasses give ``patterns`` and ``confirm``.

    The engine runs the patterns of all detectors of a recipe in one pass; `detect` runs these alone.
    """

    name: ClassVar[str]
    entity_types: frozenset[str]
    categories: Mapping[str, frozenset[str]]
    patterns: Sequence[Pattern]

    def confirm(self, match: Match) -> Finding | None:
        """The finding behind a raw match, or None."""
        raise NotImplementedError

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher({self.name: self.patterns})

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [confirmed(self, self._matcher.match(text).get(self.name, ())) for text in texts]


def confirmed(detector: PatternBase, matches: Iterable[Match]) -> tuple[Finding, ...]:
    """Findings of raw matches, sorted; the same finding in two views counts once, with its best score."""
    best: dict[tuple[int, int, str], Finding] = {}
    for match in matches:
        finding = detector.confirm(match)
        if finding is None:
            continue
        place = (finding.start, finding.end, finding.entity_type)
        if place not in best or best[place].score < finding.score:
            best[place] = finding
    return by_place(best.values())


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted by place, then type."""
    return tuple(sorted(findings, key=lambda f: (f.segment, f.start, f.end, f.entity_type, f.detector)))
