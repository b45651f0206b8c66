"""How a result shows itself in a notebook: before with marked findings, after with marked replacements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from guardrails_plugin import conversation
from guardrails_plugin.rewrite import clusters
from guardrails_plugin.types import Decision, GuardResult, Origin, Verdict

__all__ = ["result_html"]

_COLOURS = {
    Verdict.ALLOW: "#1a7f37",
    Verdict.REPORT: "#0969da",
    Verdict.TRANSFORM: "#9a6700",
    Verdict.BLOCK: "#cf222e",
}
_SHOWN = 4000
"""Characters of a text that are shown."""

_Mark = tuple[int, int, str, Verdict]


def result_html(result: GuardResult) -> str:
    """An HTML fragment without scripts; every character of the content is escaped.

    It shows the content itself: that is what a person in a notebook asks for. Logs and audit records never hold it.
    """
    colour = _COLOURS[result.verdict]
    head = (
        f'<b style="color:{colour}">{result.verdict.name}</b> at <code>{result.stage}</code> '
        f"(recipe <code>{escape(result.recipe)}</code>, {result.seconds * 1000:.1f} ms)"
    )
    summary = f'<div style="color:#57606a">{escape(result.summary)}</div>'
    parts = [f"<div>{head}</div>", summary, _text("before", _before(result))]
    if not result.blocked:
        parts.append(_text("after", _after(result)))
    return f'<div style="font-family:sans-serif;font-size:13px;line-height:1.5">{"".join(parts)}</div>'


def _text(title: str, body: str) -> str:
    box = "border:1px solid #d0d7de;border-radius:6px;padding:6px;margin:2px 0"
    style = f"white-space:pre-wrap;overflow-wrap:anywhere;{box}"
    return f'<div style="color:#57606a;margin-top:4px">{title}</div><div style="{style}">{body}</div>'


def _before(result: GuardResult) -> str:
    shown = []
    for number, segment in enumerate(conversation.segments(result.original, Origin.USER)):
        own = [d for d in result.decisions if d.finding.segment == number]
        shown.append(_marked(segment.text, _marks(segment.text, own)))
    return "<hr>".join(shown)


def _after(result: GuardResult) -> str:
    if isinstance(result.output, str):
        marks = [(r.start, r.end, r.decision.finding.entity_type, Verdict.TRANSFORM) for r in result.replacements]
        return _marked(result.output, marks)
    return _marked(json.dumps(result.output, indent=2, ensure_ascii=False, default=str), [])


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
