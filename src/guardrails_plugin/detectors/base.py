"""What detectors share: validated settings, and running a pattern table alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    judges: ClassVar[bool] = False
    """True when `judge` adds findings of its own, so that texts without any match must be looked at too."""
    quick: ClassVar[bool] = False
    """For those that judge: True when no model is asked, see `detect.Step`."""

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """The findings of a batch of texts, given those of the patterns; a classifier adds its own here."""
        del texts, context
        return found

    def confirm(self, match: Match) -> Finding | None:
        """The finding behind a raw match, or None."""
        raise NotImplementedError

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher({self.name: self.patterns})

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        found = [confirmed(self, self._matcher.match(text).get(self.name, ())) for text in texts]
        return self.judge(texts, context, found)


def confirmed(
    detector: PatternBase, matches: Iterable[Match], skipped: Callable[[Finding], bool] | None = None
) -> tuple[Finding, ...]:
    """Findings of raw matches without those skipped, sorted; the same in two views counts once, with its best score.

    A detector may have a method ``resolve(findings)`` that settles overlaps among its own findings; what becomes of
    a finding may depend on those it overlaps, on nothing else (a stream is confirmed in pieces).
    """
    best: dict[tuple[int, int, str], Finding] = {}
    for match in matches:
        finding = detector.confirm(match)
        if finding is None or (skipped is not None and skipped(finding)):
            continue
        place = (finding.start, finding.end, finding.entity_type)
        known = best.get(place)
        if known is None or _rank(known) < _rank(finding):
            best[place] = finding
    found = by_place(best.values())
    resolve = getattr(detector, "resolve", None)
    return found if resolve is None else resolve(found)


def _rank(finding: Finding) -> tuple[float, str]:
    # Of equal scores one wins by name: matches come in another order from every scanner.
    return finding.score, str(finding.evidence.get("rule", ""))


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted by place, then type."""
    return tuple(sorted(findings, key=lambda f: (f.segment, f.start, f.end, f.entity_type, f.detector)))
