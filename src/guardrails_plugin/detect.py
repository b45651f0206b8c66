"""Running a recipe's detectors: order, batches, deadlines, failures.

All pattern detectors share one pass over each text. Detectors see the texts of every content that is not blocked
yet, in one call, so that a model runs once per batch. A block stops the rules behind it, for that content only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from time import perf_counter
from typing import Any

from guardrails_plugin.allow_list import AllowList
from guardrails_plugin.contract import BreachError, all_findings, is_shipped
from guardrails_plugin.detectors.base import PatternBase, confirmed
from guardrails_plugin.failing import place_of
from guardrails_plugin.matching import Match, Matcher
from guardrails_plugin.normalize import normalize
from guardrails_plugin.policy import Ruling, decide
from guardrails_plugin.protocols import Action, Detector
from guardrails_plugin.recipes.recipe import StreamSettings
from guardrails_plugin.types import Context, Decision, Detection, Failure, Finding, Segment, Stage, Text, Verdict
from guardrails_plugin.unicode_tables import DROPPED

__all__ = ["Outcome", "Plan", "Step", "detect"]

_log = logging.getLogger("guardrails_plugin")

_Findings = Sequence[Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of a recipe with everything it needs: detector, ruling, failure policy."""

    name: str
    """The rule's name."""
    detector: Detector
    ruling: Ruling
    blocks_on_error: bool = True
    timeout: float | None = None
    pattern_only: bool = field(init=False)
    """True when it has nothing to say about texts in which none of its patterns matched."""
    shipped: bool = field(init=False)
    """True when what it returns needs no checking."""
    quick: bool = field(init=False)
    """True when it asks no model about a text without context: short ones take it well under a millisecond."""

    def __post_init__(self) -> None:
        pattern_only = isinstance(self.detector, PatternBase) and not self.detector.judges
        object.__setattr__(self, "pattern_only", pattern_only)
        object.__setattr__(self, "shipped", is_shipped(self.detector))
        object.__setattr__(self, "quick", pattern_only or getattr(self.detector, "quick", False))

    @property
    def local(self) -> bool:
        """True when a finding depends only on its surroundings, so that a window is enough to make it."""
        return self.pattern_only or bool(getattr(self.detector, "local", False))

    @property
    def may_block(self) -> bool:
        """True when it may stop a text."""
        return Verdict.BLOCK in self.ruling.verdicts.values()

    @property
    def may_transform(self) -> bool:
        """True when it may change text; one that is not local can only do so with the whole text before it."""
        return Verdict.TRANSFORM in self.ruling.verdicts.values()


@dataclass(frozen=True)
class Plan:
    """A recipe made ready to run. Built once by the engine, shared by all calls and threads."""

    recipe: str
    stage: Stage
    steps: tuple[Step, ...]
    matcher: Matcher
    actions: Mapping[str, Action]
    fingerprint: str
    deadline: float | None = None
    shadow: bool = False
    """Decide and record, do not act: every verdict of the rulings is a report at most."""
    stream: StreamSettings = field(default_factory=StreamSettings)
    left_out: tuple[str, ...] = ()
    """Rules whose packages are not installed (`Rule.needs`): said in every result, never run."""

    # Kept, since every stream needs them: to pick out some of a thousand patterns takes longer than to match them.
    @cached_property
    def window(self) -> Plan:
        """The rules that find what they change or stop in a part of a text."""
        return self._only(lambda step: step.local and (step.may_block or step.may_transform))

    @cached_property
    def judges(self) -> Plan:
        """The rules that stop a text for what it says as a whole."""
        return self._only(lambda step: not step.local and step.may_block)

    def _only(self, wanted: Callable[[Step], bool]) -> Plan:
        steps = tuple(step for step in self.steps if wanted(step))
        return replace(self, steps=steps, left_out=(), matcher=self.matcher.narrowed({step.name for step in steps}))


@dataclass(slots=True)
class Outcome:
    """What running a plan over one content came to; filled step by step inside `detect` only."""

    texts: Sequence[Text]
    decisions: list[Decision] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    raw: list[Finding] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    """Raw matches of the pattern detectors, confirmed or not."""
    blocked: bool = False


def detect(
    contents: Sequence[Sequence[Text]], plan: Plan, contexts: Sequence[Context], timings: dict[str, float]
) -> list[Outcome]:
    """Findings and decisions for every content.

    Args:
        contents: the normalised segments of each content.
        plan: what to run.
        contexts: one per content.
        timings: gets the seconds of each step.

    Returns:
        One outcome per content, in order. Never raises for a failing detector.
    """
    began = perf_counter()
    matches = _Matches(plan.matcher, contents)
    outcomes = [Outcome(texts, matches=matches.within(texts)) for texts in contents]
    timings["matching"] = perf_counter() - began
    for step in plan.steps:
        before = perf_counter()
        late = plan.deadline is not None and before - began > plan.deadline
        if step.pattern_only and not late and not matches.concern(step.name):
            for outcome in outcomes:
                outcome.detections.append(Detection(step.name, executed=not outcome.blocked))
            continue
        _run(step, outcomes, contexts, matches, late=late)
        if not step.pattern_only:
            timings[step.name] = perf_counter() - before
    for outcome, context in zip(outcomes, contexts, strict=True):
        _look_again(outcome, plan, context)
        outcome.detections += [Detection(name, executed=False) for name in plan.left_out]
    return outcomes


class _Matches:
    """Raw matches of all pattern detectors, found in one pass before any of them is asked."""

    def __init__(self, matcher: Matcher, contents: Sequence[Sequence[Text]]) -> None:
        self._found: dict[int, Mapping[str, Sequence[Match]]] = {}
        self._rules: set[str] = set()
        self.failure: str | None = None
        try:
            for texts in contents:
                for text in texts:
                    if found := matcher.match(text):
                        self._found[id(text)] = found
                        self._rules |= found.keys()
        except Exception as error:  # noqa: BLE001 - the rules' failure policy decides
            self.failure = type(error).__name__

    def of(self, text: Text, rule: str) -> Sequence[Match]:
        found = self._found.get(id(text))
        return found.get(rule, ()) if found else ()

    def within(self, texts: Sequence[Text]) -> list[Match]:
        found = (self._found.get(id(text), {}) for text in texts)
        return [match for rules in found for matches in rules.values() for match in matches]

    def concern(self, rule: str) -> bool:
        """False when there is nothing to confirm for a rule."""
        return rule in self._rules or self.failure is not None


def _run(
    step: Step, outcomes: Sequence[Outcome], contexts: Sequence[Context], matches: _Matches, *, late: bool
) -> None:
    open_ = [number for number, outcome in enumerate(outcomes) if not outcome.blocked]
    for outcome in outcomes:
        if outcome.blocked:
            outcome.detections.append(Detection(step.name, executed=False))
    if not open_:
        return
    contents = [outcomes[number].texts for number in open_]
    found = [_LATE] * len(open_) if late else _find(step, contents, [contexts[n] for n in open_], matches)
    for number, findings in zip(open_, found, strict=True):
        _conclude(step, outcomes[number], findings)


@dataclass(frozen=True, slots=True)
class _Failed:
    failure: str
    where: str = ""


_LATE = _Failed("deadline exceeded")


def _find(
    step: Step, contents: Sequence[Sequence[Text]], contexts: Sequence[Context], matches: _Matches
) -> list[Sequence[Finding] | _Failed]:
    """Findings per content. When a batch fails, each content is tried alone: one bad text harms only itself."""
    try:
        if isinstance(step.detector, PatternBase) and matches.failure is not None:
            return [_Failed(matches.failure)] * len(contents)
        return list(_in_time(step, lambda: _detect(step, contents, contexts, matches)))
    except _TimedOutError:
        return [_Failed("timed out")] * len(contents)
    except Exception as error:  # noqa: BLE001 - whatever a detector raises, its rule decides what it means
        if len(contents) == 1:
            return [_Failed(error.failure if isinstance(error, BreachError) else type(error).__name__, place_of(error))]
        alone = (_find(step, [texts], [context], matches) for texts, context in zip(contents, contexts, strict=True))
        return [found[0] for found in alone]


def _detect(
    step: Step, contents: Sequence[Sequence[Text]], contexts: Sequence[Context], matches: _Matches
) -> _Findings:
    """One call for all contents when they share a context, else one call for each."""
    if len(contents) > 1 and any(context != contexts[0] for context in contexts):
        pairs = zip(contents, contexts, strict=True)
        return [_detect(step, [texts], [context], matches)[0] for texts, context in pairs]
    flat = [text for texts in contents for text in texts]
    if isinstance(step.detector, PatternBase):
        confirmed_ = [confirmed(step.detector, matches.of(text, step.name), _skipped(step, text)) for text in flat]
        found = step.detector.judge(flat, contexts[0], confirmed_)
    else:
        found = step.detector.detect(flat, contexts[0])
    rows = iter(found if step.shipped else all_findings(step.name, step.detector, flat, found))
    return [[finding for _ in texts for finding in next(rows)] for texts in contents]


def _skipped(step: Step, text: Text) -> Callable[[Finding], bool] | None:
    """What is left out before findings settle their overlaps: an allowed address must not swallow what it holds."""
    allow = step.ruling.allow
    if not allow.has_patterns:
        return None
    return lambda finding: allow.covers_by_pattern(text.original[finding.start : finding.end])


class _TimedOutError(Exception):
    """The work did not end in time."""


@cache
def _pool() -> Any:
    # Deferred: with all it imports dearer than most checks, and only needed for rules with a timeout.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(thread_name_prefix="guardrails-detector")


def _in_time(step: Step, work: Callable[[], _Findings]) -> _Findings:
    """The work's result, or a timeout; a detector cannot be interrupted, it is left behind."""
    if step.timeout is None:
        return work()
    from concurrent.futures import TimeoutError as FutureTimeoutError

    try:
        found: _Findings = _pool().submit(work).result(step.timeout)
    except FutureTimeoutError:
        raise _TimedOutError from None
    return found


_ROUNDS = 4
"""Looks at one content at most. The second nearly always finds nothing and is the last."""

_BLANK = "\0"
"""Stands for a character that will be replaced: neither letter, digit, separator nor space."""


def _look_again(outcome: Outcome, plan: Plan, context: Context) -> None:
    """Finds what only shows once its neighbours are gone, as rewriting will leave it (a number after a number)."""
    for _ in range(_ROUNDS - 1):
        hidden = [d.finding for d in outcome.decisions if d.verdict is Verdict.TRANSFORM]
        if not hidden or outcome.blocked:
            return
        steps = [step for step in plan.steps if step.pattern_only]
        texts = [_blanked(text, hidden) for text in outcome.texts]
        matches = _Matches(plan.matcher, [texts])
        known = {_identity(finding) for finding in outcome.raw}
        for step in steps:
            if not outcome.blocked and matches.concern(step.name):
                found = _find(step, [texts], [context], matches)[0]
                _add(step, outcome, found if isinstance(found, _Failed) else _new(found, known))
        if {_identity(finding) for finding in outcome.raw} == known:
            return


def _blanked(text: Text, hidden: Sequence[Finding]) -> Text:
    chars = list(text.original)
    for finding in hidden:
        if finding.segment == text.segment and not set(chars[finding.start : finding.end]) <= DROPPED:
            chars[finding.start : finding.end] = _BLANK * (finding.end - finding.start)
    return normalize(Segment("".join(chars), text.origin, text.hint, text.part), text.segment)


def _new(found: Sequence[Finding], known: set[tuple[str, str, int, int, int]]) -> Sequence[Finding]:
    return [finding for finding in found if _identity(finding) not in known]


def _identity(finding: Finding) -> tuple[str, str, int, int, int]:
    return finding.detector, finding.entity_type, finding.segment, finding.start, finding.end


def _add(step: Step, outcome: Outcome, found: Sequence[Finding] | _Failed) -> None:
    if not found:
        return
    index = next(i for i, detection in enumerate(outcome.detections) if detection.detector == step.name)
    detection = outcome.detections.pop(index)
    _conclude(step, outcome, found)
    added = outcome.detections.pop()
    actions = tuple(sorted({*detection.actions, *added.actions}))
    outcome.detections.insert(index, replace(added, detected=detection.detected or added.detected, actions=actions))


def _unlisted(found: Sequence[Finding], allow: AllowList, texts: Sequence[Text]) -> Sequence[Finding]:
    """The findings whose text is not on the rule's allow-list."""
    originals = {text.segment: text.original for text in texts}
    return [f for f in found if not allow.covers(originals[f.segment][f.start : f.end])]


def _conclude(step: Step, outcome: Outcome, found: Sequence[Finding] | _Failed) -> None:
    if isinstance(found, _Failed):
        _log.warning("detector %r failed: %s%s", step.name, found.failure, found.where and f" at {found.where}")
        outcome.failures.append(Failure(step.name, found.failure, step.blocks_on_error, found.where))
        outcome.detections.append(Detection(step.name, failure=found.failure))
        outcome.blocked |= step.blocks_on_error
        return
    if not found:
        outcome.detections.append(Detection(step.name))
        return
    outcome.raw += found
    listed = _unlisted(found, step.ruling.allow, outcome.texts) if step.ruling.allow else found
    decisions = decide(listed, step.ruling, {text.segment: text.origin for text in outcome.texts})
    actions = tuple(sorted({decision.action for decision in decisions}))
    outcome.decisions += decisions
    outcome.detections.append(Detection(step.name, detected=bool(decisions), actions=actions))
    outcome.blocked |= any(decision.verdict is Verdict.BLOCK for decision in decisions)
