"""Guarding text that arrives in chunks: release what can no longer change, hold back what still may.

What is held back: a tail in which a match may be beginning, every match still growing or waiting for its context
words, every encoded run not yet ended. So the concatenated output is what a check of the whole text gives, for
every chunking, and no character of a transformed span is ever released. Rules that judge the whole text (a
blocking classifier) are asked at sentence ends, before the sentence is released, and once more at the finish.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from guardrails_plugin.columns import Columns
from guardrails_plugin.detect import Outcome, Plan, Step, detect
from guardrails_plugin.errors import ContentError
from guardrails_plugin.matching import CONTEXT_CHARS
from guardrails_plugin.normalize import normalize, open_run
from guardrails_plugin.policy import verdict
from guardrails_plugin.protocols import Call
from guardrails_plugin.rewrite import Cluster, clusters, rewrite
from guardrails_plugin.types import Context, Decision, Failure, GuardResult, Origin, Segment, Span, Text, Verdict

__all__ = ["StreamGuard"]

_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]]*\s|\n")
_JUDGED_AGAIN = 512
"""Characters of released text that a whole-text rule sees again with each new sentence."""

_STEP = 32
"""Characters that are waited for before the window is looked at again: half a line, a few tokens."""

_FINISHED = (
    "the stream is finished: its result is in .result; the next stream needs a guard of its own, Engine.stream()"
)

_BOUNDARY = re.compile(r"[^A-Za-z0-9+/=_%&#;\\-]")


class StreamGuard:
    """One stream. Not for use by two threads at once; make one per stream with `Engine.stream`.

    >>> from guardrails_plugin import Engine
    >>> stream = Engine().stream(stage="response")
    >>> "".join([stream.feed("My SSN is 536-90"), stream.feed("-4399, thanks."), stream.finish()])
    'My SSN is <US_SSN>, thanks.'
    """

    def __init__(
        self, plan: Plan, whole: Callable[[str], GuardResult], *, call: Call, origin: Origin, context: Context
    ) -> None:
        self._context = context
        self._whole = whole
        self._call = call
        self._origin = origin
        # What is merely reported is found in the whole text at the finish; nothing is held back for it.
        self._local = plan.window
        self._judges = plan.judges
        self._reach = max((_reach(step, context) for step in self._local.steps), default=0)
        self._actions = plan.actions
        self._cap = plan.stream.cap
        self._shadow = plan.shadow
        unseen = any(step.may_transform for step in plan.steps if not step.local)
        self._buffers = plan.stream.mode == "buffer" or not self._local.matcher.bounded or unseen
        self._chunks: list[str] = []
        self._text = ""
        """The window: some released text for context, then everything not yet released."""
        self._done = 0
        """How much of the window has been released."""
        self._offset = 0
        """Where the window begins in the whole text."""
        self._unread = 0
        self._bounded = False
        """Whether a word has ended in what is unread."""
        self._judged = ""
        self._blocked = False
        self._why: list[Decision] = []
        """Decisions that blocked before the finish, at their places in the whole text."""
        self._result: GuardResult | None = None

    @property
    def blocked(self) -> bool:
        """True once the stream was refused; nothing more is released."""
        return self._blocked

    @property
    def result(self) -> GuardResult:
        """The result for the whole text.

        Raises:
            RuntimeError: the stream is not finished.
        """
        if self._result is None:
            raise RuntimeError("the stream is not finished: call finish() first")
        return self._result

    def feed(self, chunk: str) -> str:
        """Take a chunk; returns the text released by it, often "" or more than the chunk.

        Raises:
            ContentError: the chunk is no text.
            RuntimeError: the stream is finished.
        """
        if not isinstance(chunk, str):
            hint = "; decode bytes as they arrive: codecs.getincrementaldecoder('utf-8')()"
            given = type(chunk).__name__
            raise ContentError(f"feed: expected a str, got {given}{hint if isinstance(chunk, bytes) else ''}")
        if self._result is not None:
            raise RuntimeError(_FINISHED)
        self._chunks.append(chunk)
        if self._blocked or self._buffers:
            return ""
        self._text += chunk
        self._unread += len(chunk)
        self._bounded |= _BOUNDARY.search(chunk) is not None
        if not (self._bounded and self._unread >= _STEP) and len(self._text) - self._done < self._cap:
            return ""
        self._unread, self._bounded = 0, False
        released = self._release(final=False)
        if len(self._text) - self._done > self._cap:
            self._blocked = not self._shadow
        return "" if self._blocked else released

    def finish(self) -> str:
        """The end of the stream: releases the rest, unless the whole text is refused. `result` is there afterwards.

        Raises:
            RuntimeError: the stream is finished.
        """
        if self._result is not None:
            raise RuntimeError(_FINISHED)
        result = self._whole("".join(self._chunks))
        if self._blocked and not result.blocked:
            result = self._refused(result)
        self._result = result
        self._blocked = result.blocked
        if self._blocked:
            return ""
        if self._buffers:
            return str(result.output[0] if isinstance(result.output, list) else result.output)
        return self._release(final=True)

    def _refused(self, result: GuardResult) -> GuardResult:
        """The whole text's result, blocked for what was seen before it was whole."""
        decisions = (*result.decisions, *self._why)
        too_long = () if self._why else (Failure("stream", "held back too much", blocks=True),)
        failures = (*result.failures, *too_long)
        findings = tuple(decision.finding for decision in decisions)
        return replace(
            result, verdict=Verdict.BLOCK, output=None, findings=findings, decisions=decisions, failures=failures
        )

    def _release(self, *, final: bool) -> str:
        text = normalize(Segment(self._text, self._origin))
        outcome = self._decide(self._local, text, self._offset)
        if self._blocked:
            return ""
        spans = clusters(self._text, outcome.decisions)
        matches = [match.view.span(match.start, match.end) for match in outcome.matches]
        end = len(self._text) if final else self._settled(text, spans, matches)
        if self._judges.steps and not final:
            end = self._approved(end)
        if end <= self._done or self._blocked:
            return ""
        ready = [span for span in spans if self._done <= span.start and span.end <= end]
        released, _ = rewrite(self._text, ready, self._actions, self._call, start=self._done, end=end)
        self._done = end
        self._trim(text, matches)
        return released

    def _decide(self, plan: Plan, text: Text, offset: int) -> Outcome:
        outcome = detect([[text]], plan, [self._context], {})[0]
        if verdict(outcome.decisions, outcome.failures) is Verdict.BLOCK:
            self._blocked = True
            self._why = [_moved(d, offset) for d in outcome.decisions if d.verdict is Verdict.BLOCK]
        return outcome

    def _settled(self, text: Text, spans: Sequence[Cluster], matches: Sequence[Span]) -> int:
        """How far the window can no longer change, whatever comes."""
        size = len(self._text)
        end = min(size - max(1, self._reach), self._local.matcher.live_from(text), open_run(self._text, self._done))
        waiting = [*(Span(s.start, s.end) for s in spans), *matches]
        for span in sorted(waiting, reverse=True):
            if span.end + CONTEXT_CHARS > size or span.end > end:
                end = min(end, span.start)
        return end

    def _approved(self, end: int) -> int:
        """The last sentence end before ``end``, if the whole-text rules have nothing against what stands before it."""
        ends = [match.end() for match in _SENTENCE_END.finditer(self._text, self._done, max(end, self._done))]
        if not ends:
            return self._done
        fresh = self._judged[-_JUDGED_AGAIN:] + self._text[self._done : ends[-1]]
        offset = self._offset + ends[-1] - len(fresh)
        self._decide(self._judges, normalize(Segment(fresh, self._origin)), offset)
        self._judged = fresh
        return ends[-1]

    def _trim(self, text: Text, matches: Sequence[Span]) -> None:
        """Forget released text that no later finding can depend on; the window then starts between two words."""
        keep = self._done - 2 * CONTEXT_CHARS
        if keep < CONTEXT_CHARS:
            return
        opaque = [view.span(p.at, p.at + 1) for view in text.views for p in view.pieces if not p.linear]
        cut = _between_words(self._text, keep)
        for span in sorted([*matches, *opaque], reverse=True):
            if span.start < cut < span.end:
                cut = _between_words(self._text, span.start)
        heading = ""
        columns = Columns(self._text[: self._done])
        if head := columns.head(cut):
            # What heads a table speaks for every row that is still to come.
            heading = self._text[head[0] : head[1]]
            cut = max(head[1], self._text.rfind("\n", 0, cut) + 1)
        if cut <= len(heading):
            return
        self._text = heading + self._text[cut:]
        self._done -= cut - len(heading)
        self._offset += cut - len(heading)


def _between_words(text: str, at: int) -> int:
    """The last place up to ``at`` that is not inside a word or token (scripts without spaces: between any two)."""
    while at > 0 and (text[at - 1].isalnum() or text[at - 1] in _JOINING) and text[at - 1] < "\u2e80":
        at -= 1
    return at


_JOINING = frozenset("+/=_%&#;\\-.@:")


def _moved(decision: Decision, offset: int) -> Decision:
    finding = decision.finding
    return replace(decision, finding=replace(finding, start=finding.start + offset, end=finding.end + offset))


def _reach(step: Step, context: Context) -> int:
    """Characters a detector needs held back; one whose work depends on the context is asked with it."""
    reach: Any = getattr(step.detector, "reach", 0)
    asked: Any = reach(context) if callable(reach) else reach
    return int(asked)
