"""What a search for leaks found: values that name places and labels, never the canaries themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["CALLER_INPUT", "GRAPH_INPUT", "RAN", "Allow", "Leak", "LeakReport", "inner_runs"]

RAN = "ran"

_LINES = 40
"""Of a message."""


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """A canary seen raw.

    Attributes:
        canary: its label.
        place: where it was: what told it (``output``, ``chunk``, ``event``, ``callback``, ``trace``, ``checkpoint``,
            ``instrumentation``, ``memory``, ``log``, ``error``), of what, and the path inside.
        mode: how the application was run.
    """

    canary: str
    place: str
    mode: str


@dataclass(frozen=True, slots=True)
class Allow:
    """Leaks to put up with. ``*`` stands for anything.

    Attributes:
        place: see `Leak`.
        mode: likewise.
        canary: likewise.
    """

    place: str = "*"
    mode: str = "*"
    canary: str = "*"

    def covers(self, leak: Leak) -> bool:
        """Whether a leak is one of these."""
        pairs = (self.place, leak.place), (self.mode, leak.mode), (self.canary, leak.canary)
        return all(re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), given, re.DOTALL) for wanted, given in pairs)


CALLER_INPUT = Allow("root input*")
"""What the outermost run tells about its own input: frameworks report it before any code of the application runs.
Not to be avoided, except by guarding a value before the application is called."""

GRAPH_INPUT = Allow("graph input*")
"""The input as a graph's first state and checkpoint: LangGraph writes both before any node runs.
Put ``Guard("pre_plan") |`` in front of the graph to avoid it."""


def inner_runs(*classes: str) -> tuple[Allow, ...]:
    """What LlamaIndex objects of these classes tell instrumentation and callbacks about themselves.

    LlamaIndex instruments its models and tools from the inside, so a guard round them cannot change what they report.
    Name the classes of your own model and tools (``inner_runs("OpenAI", "FunctionTool")``), and send instrumentation
    only where raw answers may go.
    """
    told = ("span {}.*", "LLM*Event of {}.response*"), ("llm end of {}[EventPayload.*",)
    return tuple(
        Allow(f"{teller} {place.format(name)}")
        for name in classes
        for teller, places in zip(("instrumentation", "callback"), told, strict=True)
        for place in places
    )


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What was looked at and what was found.

    Attributes:
        leaks: not allowed ones, sorted.
        allowed: the others.
        modes: every mode and what became of it: ``ran``, ``blocked: <error>`` (a guard refused), ``unsupported: ...``
            (the application has no such mode), ``failed: <error>``.
        unused: allowances that nothing needed.
    """

    leaks: tuple[Leak, ...]
    allowed: tuple[Leak, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[Allow, ...] = ()

    def places(self) -> dict[str, set[str]]:
        """Labels of the canaries that leaked, by mode; modes without leaks are missing."""
        found: dict[str, set[str]] = defaultdict(set)
        for leak in self.leaks:
            found[leak.mode].add(leak.canary)
        return dict(found)

    @property
    def failures(self) -> dict[str, str]:
        """Modes that failed for a reason that is no guard's."""
        return {mode: outcome for mode, outcome in self.modes.items() if outcome.startswith("failed")}

    def raise_for_leaks(self) -> LeakReport:
        """This report, when the application ran and nothing leaked.

        Raises:
            AssertionError: a canary leaked, a mode failed, or none ran. It names canaries by their labels.
        """
        problems = [*_said(self.leaks), *(f"{mode}: {outcome}" for mode, outcome in self.failures.items())]
        if not any(outcome == RAN or outcome.startswith("blocked") for outcome in self.modes.values()):
            problems.append("nothing ran, so nothing was tested")
        if problems:
            raise AssertionError("\n  ".join([f"{len(self.leaks)} leaks in {len(self.modes)} modes:", *problems]))
        return self


def _said(leaks: Sequence[Leak]) -> list[str]:
    """One line for each canary and place, with the modes it was seen in."""
    modes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for leak in leaks:
        modes[leak.canary, leak.place].append(leak.mode)
    lines = [f"{canary} at {place} ({', '.join(where)})" for (canary, place), where in modes.items()]
    return lines if len(lines) <= _LINES else [*lines[:_LINES], f"... and {len(lines) - _LINES} further places"]
