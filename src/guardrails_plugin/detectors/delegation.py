"""Whether the user left a value to what the agent reads, or named whoever it belongs to.

"Reply to the sender of the last mail", "pay the invoice in the file", "send the report to Bob": the address, the
account, Bob's e-mail can only come from a tool, and using them is what was asked for. Only clauses that ask for an act
count ("pay ...", not "is the invoice correct?" or "summarise the mail"). Two rules, in words:

1. reference: the user's words point at the source of such a value (expressions by kind in ``data/tool_use.toml``).
   The clause that says so must be the one that asks, or the asking one points back ("read the invoice and pay it").
   Where the words mean the sender and some address in the outside text is labelled as one (``From: ...``), only
   labelled addresses answer to it.
2. name: a word by which the user named a recipient ("to Bob", "my landlord") is part of the value or stands beside it
   on its line.

A turn that only confirms ("yes, go ahead") refers to the turn before. Limits: English; an attacker who writes the
user's names beside an address of his own is taken at his word, therefore such values are reported, not forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import Target, fold
from guardrails_plugin.detectors.tool_words import acts, tool_table

__all__ = ["delegated", "references", "wants_only_an_answer"]

_RECIPIENTS = re.compile(
    r"\b(?:to|with|cc|bcc)(?=\s+(?:(?:my|our|the|a|an|mr|mrs|ms|dr)\.?\s+){0,2}((?:[\w'\u2019-]+[ ]?){1,4}))"
    r"|\b(?:pay|e-?mail|mail|call|phone|ring|text|message|dm|ping|invite|remind|contact|ask|tell|notify|inform|send|"
    r"forward|give|refund|reimburse|invoice|slack|thank|answer)"
    r"(?=\s+(?:(?:my|our|mr|mrs|ms|dr)\.?\s+)?((?:[\w'\u2019-]+[ ]?){1,3}))"
)
_NO_NAMES = frozenset(
    """a an the this that these those it its all any some and or of for from in on at by as is are be was were will
    about with to my our your his her their me us you them him she he they what which who please then also not no new
    email e-mail mail message text note file document report summary invoice amount money account address number link
    url page site list copy update reminder invitation answer reply payment transfer com org net www http https
    iban phone send pay use full next last back now today tomorrow due total""".split()
)
_LABEL_KINDS = frozenset({"email", "recipient", "phone"})


def delegated(target: Target, prompt: str, history: Sequence[str], outside: Sources) -> str:
    """How the user's words cover a value from outside.

    Returns:
        ``reference``, ``name``, or "" when they do not.
    """
    words = _request(prompt, history)
    asking = [clause for clause in _CLAUSE.split(words) if _asks(clause)]
    if not asking:
        return ""
    if any(_POINTS_BACK.search(clause) for clause in asking):
        asking.append(words)
    if _referred(target, asking, outside):
        return "reference"
    return "name" if _named(target, asking, outside) else ""


def wants_only_an_answer(said: Sequence[str]) -> bool:
    """True when the user asks to be told or shown something, and nowhere for an act.

    >>> [wants_only_an_answer([text]) for text in ("Has it shipped?", "My lamp is too bright", "Find one and book it")]
    [True, False, False]
    """
    clauses = [clause for turn in said for clause in _CLAUSE.split(fold(turn))]
    reading = _listed("reading", tool_table()["delegation"]["reading"]) | {"show", "overview"}
    asked = any(_FOR_TEXT.search(clause) or next(iter(_TELLING.findall(clause)), "") in reading for clause in clauses)
    return asked and not any(_asks(clause) for clause in clauses)


def _request(prompt: str, history: Sequence[str]) -> str:
    """The words that say what is wanted now, folded."""
    turns = [fold(turn) for turn in (*history, prompt)]
    while len(turns) > 1 and _expression("confirmation").search(turns[-1]):
        turns.pop()
    return turns[-1] if turns else ""


_CLAUSE = re.compile(r"[.!?;:,\n](?=\s|$)|\b(?:and|then|but|or)\b")
_TELLING = re.compile(r"(?:(?:please|hi|hey|hello|can you|could you|would you|me|now)\s+)*([a-z'\u2019-]+)")
_WORD = re.compile(r"[a-z'\u2019-]+")
_POINTS_BACK = re.compile(r"\b(?:it|them|him|her|that|this|those|these|there|one|accordingly)\b")


_FOR_TEXT = re.compile(
    r"\b(?:make|create|prepare|give|write|draft|put together|compile)\s+(?:me |us )?(?:an? |the )?(?:[\w-]+ ){0,2}"
    r"(?:lists?|tables?|rundowns?|summar(?:y|ies)|overviews?|outlines?|comparisons?)\s+(?:of|about|on|with|from)\b"
)


def _asks(clause: str) -> bool:
    """True for a clause that asks for an act: its first telling word is a verb of acting, not of reading or asking.

    Making a list of something acts on nothing that stands in it.
    """
    if _FOR_TEXT.search(clause):
        return False
    table = tool_table()["delegation"]
    acting, reading = _listed("acting", table["acting"]), _listed("reading", table["reading"])
    return next((word in acting for word in _WORD.findall(clause) if word in acting or word in reading), False)


@cache
def _listed(tools: str, more: str) -> frozenset[str]:
    return frozenset(tool_table()["tools"][tools].split()) | frozenset(more.split())


@cache
def _expression(name: str) -> re.Pattern[str]:
    return re.compile(tool_table()["delegation"][name])


@cache
def references(kind: str) -> tuple[re.Pattern[str], ...]:
    """Expressions by which a request points at the source of values of a kind."""
    table = tool_table()["delegation"]
    own = {"email": "recipient"}.get(kind, kind)
    return tuple(re.compile(expression) for expression in (*table["any"], *table.get(own, ())))


def _referred(target: Target, asking: Sequence[str], outside: Sources) -> bool:
    if not any(expression.search(words) for expression in references(target.kind) for words in asking):
        return False
    if target.kind not in _LABEL_KINDS or not any(_expression("sender_words").search(words) for words in asking):
        return True
    label = _expression("sender_label").pattern
    own = re.compile(f"{label}$")
    return not outside.matching(re.compile(rf"{label}[\w.+-]{{1,64}}@")) or any(
        own.search(before) for before, _ in outside.beside(target)
    )


def _named(target: Target, asking: Sequence[str], outside: Sources) -> bool:
    names = frozenset[str]().union(*map(_names, asking))
    if not names:
        return False
    if any(name in target.key for name in names):
        return True
    beside = (set(re.findall(r"[\w'\u2019-]+", f"{before} {after}")) for before, after in outside.beside(target))
    return any(not names.isdisjoint(near) for near in beside)


def _names(words: str) -> frozenset[str]:
    """The words by which a request names recipients."""
    found: set[str] = set()
    for match in _RECIPIENTS.finditer(words):
        phrase = re.findall(r"[\w'\u2019-]+", match[1] or match[2])
        if phrase[0] in ("the", "a", "an", "this", "that", "these", "those", "it", "all") or acts(phrase[0]):
            continue
        found |= {word.removesuffix("'s").removesuffix("\u2019s") for word in phrase}
    return frozenset(word for word in found if len(word) >= 3 and word not in _NO_NAMES and not word.isdigit())
