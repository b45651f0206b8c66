"""How a result shows itself in a notebook or a terminal: what goes on, with marks; on request also what came in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from guardrails_plugin import conversation
from guardrails_plugin.rewrite import clusters
from guardrails_plugin.types import DEFAULT_ORIGINS, Decision, GuardResult, Verdict

__all__ = ["Shown", "result_html", "result_text"]

_COLOURS = {
    Verdict.ALLOW: "#1a7f37",
    Verdict.REPORT: "#0969da",
    Verdict.TRANSFORM: "#9a6700",
    Verdict.BLOCK: "#cf222e",
}
_SHOWN = 4000
"""Characters of a text that are shown."""

_Mark = tuple[int, int, str, Verdict]


@dataclass(frozen=True, slots=True)
class Shown:
    """A result made ready to be seen: a notebook shows the last value of a cell, ``print`` the text."""

    html: str = field(repr=False)
    text: str = field(repr=False)

    @classmethod
    def of(cls, result: GuardResult, *, original: bool = False) -> Shown:
        """See `GuardResult.show`."""
        return cls(result_html(result, original=original), result_text(result, original=original))

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def result_html(result: GuardResult, *, original: bool = False) -> str:
    """An HTML fragment without scripts; every character of the content is escaped.

    Args:
        result: what to show: the output with what was replaced and what was merely found, or why there is none.
        original: also what came in. It holds all that was found, and a notebook keeps what it shows.
    """
    colour = _COLOURS[result.verdict]
    head = (
        f'<b style="color:{colour}">{result.verdict.name}</b> at <code>{result.stage}</code> '
        f"(recipe <code>{escape(result.recipe)}</code>, {result.seconds * 1000:.1f} ms)"
    )
    summary = f'<div style="color:#57606a">{escape(result.summary)}</div>'
    parts = [f"<div>{head}</div>", summary]
    if original and result.original is not None:
        parts.append(_text("before", "<hr>".join(_marked(*before) for before in _before(result))))
    found = "<br>".join(map(escape, _found(result)))
    parts.append(_text("found", found) if result.blocked else _text("after", _marked(*_after(result))))
    return f'<div style="font-family:sans-serif;font-size:13px;line-height:1.5">{"".join(parts)}</div>'


def result_text(result: GuardResult, *, original: bool = False) -> str:
    """The same as plain text, with marks in brackets: ``[<US_SSN>|US_SSN]``.

    Args:
        result: what to show.
        original: also what came in.
    """
    parts = [f"{result.verdict.name} at {result.stage} (recipe {result.recipe}, {result.seconds * 1000:.1f} ms)"]
    if original and result.original is not None:
        parts += [*(_bracketed(*before) for before in _before(result)), "->"]
    parts += _found(result) if result.blocked else [_bracketed(*_after(result))]
    return "\n".join(parts)


def _found(result: GuardResult) -> list[str]:
    """What a blocked content held, by type and place."""
    lines = [reason for reason in result.reasons if not result.decisions]
    for decision in result.decisions:
        finding = decision.finding
        place = f"{finding.segment}:{finding.start}-{finding.end}"
        lines.append(f"{finding.entity_type} at {place} ({finding.score:.2f}, {decision.action})")
    return lines


def _text(title: str, body: str) -> str:
    box = "border:1px solid #d0d7de;border-radius:6px;padding:6px;margin:2px 0"
    style = f"white-space:pre-wrap;overflow-wrap:anywhere;{box}"
    return f'<div style="color:#57606a;margin-top:4px">{title}</div><div style="{style}">{body}</div>'


def _before(result: GuardResult) -> list[tuple[str, Sequence[_Mark]]]:
    shown: list[tuple[str, Sequence[_Mark]]] = []
    for number, segment in enumerate(conversation.segments(result.original, DEFAULT_ORIGINS[result.stage])):
        own = [d for d in result.decisions if d.finding.segment == number]
        shown.append((segment.text, _marks(segment.text, own)))
    return shown


def _after(result: GuardResult) -> tuple[str, Sequence[_Mark]]:
    if isinstance(result.output, str):
        marks = [(r.start, r.end, r.decision.finding.entity_type, Verdict.TRANSFORM) for r in result.replacements]
        return result.output, [*marks, *_kept(result)]
    return json.dumps(result.output, indent=2, ensure_ascii=False, default=str), []


def _kept(result: GuardResult) -> list[_Mark]:
    """What was found and left as it was, at its place in a text as output."""
    marks: list[_Mark] = []
    for decision in result.decisions:
        start, end = decision.finding.start, decision.finding.end
        apart = all(r.source.end <= start or end <= r.source.start for r in result.replacements)
        if start < end and apart and all(end <= mark[0] or mark[1] <= start for mark in marks):
            marks.append((start, end, decision.finding.entity_type, decision.verdict))
    moved = [(r.source.end, len(r.text) - (r.source.end - r.source.start)) for r in result.replacements]
    shifts = [sum(by for at, by in moved if at <= mark[0]) for mark in marks]
    return [(mark[0] + by, mark[1] + by, *mark[2:]) for mark, by in zip(marks, shifts, strict=True)]


def _marks(text: str, decisions: Sequence[Decision]) -> list[_Mark]:
    spans = clusters(text, decisions)
    marks: list[_Mark] = [(c.start, c.end, c.winner.finding.entity_type, c.winner.verdict) for c in spans]
    for decision in decisions:
        start, end = decision.finding.start, decision.finding.end
        if start < end and all(end <= mark[0] or start >= mark[1] for mark in marks):
            marks.append((start, end, decision.finding.entity_type, decision.verdict))
    return sorted(marks)


def _marked(text: str, marks: Sequence[_Mark]) -> str:
    parts, last = [], 0
    for start, end, label, verdict in sorted(marks):
        style = f"background:{_COLOURS[verdict]}22;border-bottom:2px solid {_COLOURS[verdict]};color:inherit"
        parts += [
            escape(text[last:start]),
            f'<mark style="{style}" title="{escape(label)}">{escape(text[start:end])}</mark>',
        ]
        last = end
    rest = text[last : max(last, _SHOWN)]
    more = f" &hellip; ({len(text) - _SHOWN} more characters)" if len(text) > max(last, _SHOWN) else ""
    return "".join(parts) + escape(rest) + more


def _bracketed(text: str, marks: Sequence[_Mark]) -> str:
    parts, last = [], 0
    for start, end, label, _ in sorted(marks):
        parts += [text[last:start], f"[{text[start:end]}|{label}]"]
        last = end
    return "".join(parts) + text[last:]
