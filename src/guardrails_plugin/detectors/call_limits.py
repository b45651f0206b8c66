"""Tool calls that repeat or go over a budget, counted over the earlier calls of the run.

An agent in a loop asks for the same thing again and again, or spends without end. At ``pre_tool`` the call at hand and
``Context.calls`` are counted: calls in all, calls of one tool, and calls that are the same: equal tool and arguments,
whatever the order of the arguments (`conversation.called`). Nothing is kept between checks; who runs the agent hands in
the calls it has made. Entity types: ``CALL_BUDGET`` and ``REPEATED_CALL``.

Source: OWASP LLM10:2025 (unbounded consumption); the counts are exact, the default limits judgement.
Limits: a call that changes a character each time is not a repetition, only a budget stops it; parallel calls count when
each is handed in with those before it. The defaults are judgement, not measurement: a useful run rarely needs the same
call more than three times, or fifty calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.conversation import called
from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.tool_words import matches
from guardrails_plugin.types import CallPart, Context, Finding, Text

__all__ = ["CallLimits"]

Limit = Annotated[int, Field(ge=0)]
_BUDGET, _REPEATED = "CALL_BUDGET", "REPEATED_CALL"


@dataclass(frozen=True, config=SETTINGS)
class CallLimits:
    """See the module.

    Attributes:
        max_calls: most calls of a run, the one at hand included; None for no limit.
        max_same: most equal calls of a run; None for no limit.
        per_tool: most calls by tool, names or globs; every one that fits counts. 0 forbids a tool.
        repeatable: tools, names or globs, that may be called alike as often as needed (polling).
    """

    max_calls: Limit | None = 50
    max_same: Limit | None = 3
    per_tool: dict[str, Limit] = field(default_factory=dict)
    repeatable: tuple[str, ...] = ()

    name: ClassVar[str] = "call_limits"
    entity_types = frozenset({_BUDGET, _REPEATED})
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`. The findings of a call stand at the tool's name."""
        if not any(_is_name(text) for text in texts):
            return [()] * len(texts)
        earlier = [part for part in map(called, context.calls) if part is not None]
        return [by_place(self._findings(text, earlier)) if _is_name(text) else () for text in texts]

    def _findings(self, text: Text, earlier: Sequence[CallPart]) -> Iterator[Finding]:
        part = text.part
        if part is None:
            return
        same = 1 + sum(call == part for call in earlier)
        if self.max_same is not None and same > self.max_same and not matches(part.tool, self.repeatable):
            yield self._over(text, _REPEATED, "max_same", same, self.max_same)
        if self.max_calls is not None and len(earlier) >= self.max_calls:
            yield self._over(text, _BUDGET, "max_calls", len(earlier) + 1, self.max_calls)
            return
        for tool, most in self.per_tool.items():
            if matches(part.tool, [tool]):
                made = 1 + sum(matches(call.tool, [tool]) for call in earlier)
                if made > most:
                    yield self._over(text, _BUDGET, "per_tool", made, most)
                    return

    def _over(self, text: Text, entity_type: str, limit: str, made: int, most: int) -> Finding:
        evidence: dict[str, str | float] = {"limit": limit, "calls": float(made), "most": float(most)}
        return Finding(self.name, entity_type, 1.0, 0, len(text.original), text.segment, evidence)


def _is_name(text: Text) -> bool:
    return text.part is not None and text.part.argument is None
