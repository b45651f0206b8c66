"""The only place that changes text: decisions in, new text out.

Overlapping spans become one, and the strictest action among them replaces all of it, so that no character of any
transformed span survives (format-preserving actions and masks keep what they are meant to keep). The order of the
decisions does not matter. What replaces a bare number in JSON text is quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from guardrails_plugin.json_values import quote_for
from guardrails_plugin.protocols import Action, Call
from guardrails_plugin.types import Decision, Replacement, Span, Verdict
from guardrails_plugin.unicode_tables import DROPPED

__all__ = ["Cluster", "clusters", "rewrite"]

_STRICTNESS = ("defang", "partial_mask", "encrypt", "hash", "mask", "replace", "redact")
_CUSTOM = _STRICTNESS.index("hash")
"""Where an action by others ranks."""

_ELLIPSIS = "\u2026"
"""Left by a deletion that would otherwise join what stood apart, and so perhaps make something new to find."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Overlapping spans that are replaced as one, by the strictest of their decisions."""

    start: int
    end: int
    winner: Decision


def clusters(text: str, decisions: Iterable[Decision]) -> list[Cluster]:
    """Spans of a text to replace, in order, without overlap. Decisions that transform nothing are ignored.

    A link that is made inert stays around what else is replaced in it.

    Invisible characters inside a value do not decide what becomes of it, however strict the rule about them is.
    """

    def rank(decision: Decision) -> tuple[object, ...]:
        return not _invisible(text[decision.finding.start : decision.finding.end]), *_rank(decision)

    spans = sorted(
        (d for d in decisions if d.verdict is Verdict.TRANSFORM and d.finding.start < d.finding.end),
        key=lambda d: (d.finding.start, d.finding.end),
    )
    found: list[Cluster] = []
    for decision in (one for one in spans if one.action != "defang"):
        start, end = decision.finding.start, decision.finding.end
        if found and start < found[-1].end:
            last = found[-1]
            winner = max(last.winner, decision, key=rank)
            found[-1] = Cluster(last.start, max(last.end, end), winner)
        else:
            found.append(Cluster(start, end, decision))
    links = [decision for decision in spans if decision.action == "defang"]
    return sorted([*found, *_around(found, links)], key=lambda cluster: cluster.start) if links else found


def _around(values: Sequence[Cluster], links: Sequence[Decision]) -> Iterator[Cluster]:
    """What stays of links, made inert, around the values that are replaced in them."""
    at = index = 0
    for link in links:
        at, end = max(at, link.finding.start), link.finding.end
        while index < len(values) and values[index].start < end:
            value = values[index]
            if at < value.start:
                yield Cluster(at, value.start, link)
            at = max(at, value.end)
            if value.end > end:
                break
            index += 1
        if at < end:
            yield Cluster(at, end, link)
            at = end


def rewrite(
    text: str,
    spans: Sequence[Cluster],
    actions: Mapping[str, Action],
    call: Call,
    *,
    start: int = 0,
    end: int | None = None,
) -> tuple[str, tuple[Replacement, ...]]:
    """``text[start:end]`` with every span replaced by what its action makes of it.

    Args:
        text: the original segment.
        spans: from `clusters`, all within ``start:end``.
        actions: by name.
        call: what actions may use.
        start: first character to put out.
        end: behind the last character to put out; the text's end by default.

    Returns:
        The new text, and what was put where in it.
    """
    end = len(text) if end is None else end
    parts: list[str] = []
    made: list[Replacement] = []
    at, last = 0, start
    for span in spans:
        decision = span.winner
        new = actions[decision.action].apply(text[span.start : span.end], decision.finding, call)
        if not new:
            new = _gap(text, span)
        quote = quote_for(text, span.start, span.end, new)
        parts += [text[last : span.start], quote, new, quote]
        at += span.start - last + len(quote)
        made.append(Replacement(decision, Span(span.start, span.end), new, at, at + len(new)))
        at += len(new) + len(quote)
        last = span.end
    parts.append(text[last:end])
    return "".join(parts), tuple(made)


def _gap(text: str, span: Cluster) -> str:
    """What a deletion leaves: nothing, or an ellipsis where two stretches of text would be joined."""
    if _invisible(text[span.start : span.end]):
        return ""
    left, right = text[span.start - 1 : span.start], text[span.end : span.end + 1]
    apart = not left or not right or (left.isspace() and right.isspace())
    return "" if apart else _ELLIPSIS


def _invisible(value: str) -> bool:
    return all(char in DROPPED for char in value)


def _rank(decision: Decision) -> tuple[int, float, int, int, str, str, str]:
    """A total order, so that the winner does not depend on who came first."""
    finding, action = decision.finding, decision.action
    strictness = _STRICTNESS.index(action) if action in _STRICTNESS else _CUSTOM
    length = finding.end - finding.start
    return strictness, finding.score, length, -finding.start, finding.entity_type, finding.detector, action
