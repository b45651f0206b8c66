"""Where the steps of a plan stand: list items, sentences, values of fields, calls of tools.

Plans come as lists, as prose, as JSON and as transcripts of tool calls, and one line may hold several of them. A step
is a line or a sentence of it, without its marker; `clauses` are its parts, each of which can begin with a verb of its
own ("open it, then forward it and report"). Limits: English connectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Step", "clauses", "steps"]

_FIELD = re.compile(r"\b(?:plan|plans|step|steps|task|tasks|todo|todos|action|actions)\b")
_ARGUMENTS = re.compile(r"\b(?:args|arguments|input|inputs|parameters|params|kwargs|result|results|output|outputs)\b")
_COMMAND = re.compile(r"\b(?:q|sql|query|statement|command|cmd|script|shell)$")
"""Arguments whose value is itself an act."""
_TALK = re.compile(r"\b(?:content|text|message|thought|thoughts|reasoning|answer|response|plan)$")
"""Last field in which prose may be a plan; in others ("status": "order received") only marked steps count."""

_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.){0,2000})"(\s{0,9}:)?')
_BREAK = re.compile(r"\n+|(?<=[.!?;])(?<!e\.g\.)(?<!i\.e\.)[ \t]+")
_MARKER = re.compile(
    r"[ \t]*(?:(?:\d{1,3}|[a-z])[.):]|[-*\u2022\u2013\u2192]|step[ ]\d{1,3}[.):]?|"
    r"(?:next |final )?(?:action|step|tool|call|task|todo):)[ \t]*",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:i|we)(?:'ll|\u2019ll)?\b", re.IGNORECASE)
_CONNECTOR = re.compile(
    r",?\s+(?:and|then|but|so|before|after which)\s+|[,:;]\s+(?:which\s)?|\s+[\u2013\u2014>]+\s+"
    r"|\s*[-=]>\s*"
    r"|(?<!how)(?<!what)(?<!that)(?<!which)(?<!where)(?<!when)(?<!whether)(?<!if)(?<!before)(?<!until)(?<!who)"
    r"\s+(?=(?-i:I|we)(?:'ll|\u2019ll)?\s)"
    r"|\b(?:need|have|want|going|proceed|go on|in order|used?) to\s+|\btool to\s+",
    re.IGNORECASE,
)


class Step(NamedTuple):
    """Where it stands in a text."""

    start: int
    end: int


def steps(text: str, hint: str) -> Iterator[Step]:
    """The steps of a text that stands in these fields."""
    if _ARGUMENTS.search(hint):
        if _COMMAND.search(hint) and text:
            yield Step(0, len(text))
        return
    prose = not hint or bool(_FIELD.search(hint)) or bool(_TALK.search(hint))
    if text.lstrip()[:1] in ("{", "["):
        for value in _QUOTED.finditer(text):
            if value[2] is None:  # a key says nothing
                yield from _split(text, value.start(1), value.end(1), prose=True)
        return
    yield from _split(text, 0, len(text), prose=prose)


def _split(text: str, start: int, end: int, *, prose: bool) -> Iterator[Step]:
    listed = False
    at = start
    for gap in (*_BREAK.finditer(text, start, end), None):
        stop = gap.start() if gap else end
        marker = _MARKER.match(text, at, stop)
        first = marker.end() if marker else at
        listed = bool(marker) or (listed and text[at - 1 : at] != "\n")
        if first < stop and (prose or listed or _FIRST_PERSON.search(text, first, stop)):
            yield Step(first, stop)
        at = gap.end() if gap else end


def clauses(step: str) -> Iterator[str]:
    """The parts of a step that can begin with a verb of their own."""
    at = 0
    for gap in _CONNECTOR.finditer(step):
        yield step[at : gap.start()]
        at = gap.end()
    yield step[at:]
