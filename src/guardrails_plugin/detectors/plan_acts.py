"""Which consequential act a step of a plan is, and which of them a user's request asks for.

Six families (``data/tool_use.toml``): communicate, pay, destroy, execute, access, commit. A clause of a step belongs to
the family of the verb it begins with, in first person or as an imperative, of a phrase ("make ... public"), or of the
name of the tool it calls; not when the verb is about text, queries and tests, denied, or left to the user's answer. A
request asks for a family when one of its words does, in a clause that does not merely ask to be told: "which mails did
I send?" asks for no mail to be sent. Limits: English; words, not meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from guardrails_plugin.detectors.plan_steps import clauses
from guardrails_plugin.detectors.tool_words import tool_table, words

__all__ = ["act_of", "asked_for"]

_ASIDE = (
    r"(?:(?:\w+ly|then|next|first|second|third|finally|also|now|after that|afterwards|last|please|just|additionally|"
    r"(?:i|we)(?:'ll|\u2019ll)?|i'm|i am|will|am going to|are going to|must|should|shall|can|to|go|"
    r"call|use|invoke)[\s,:.`*_]{1,16}){0,8}"
)
_OPENING = re.compile(
    rf"^\W{{0,16}}(?:step \d{{1,3}}\W{{1,9}})?{_ASIDE}[`*_\"']{{0,4}}(?P<verb>[a-z][a-z-]*)\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NO_ACT = re.compile(
    r"\s+(?:of|is|are|was|were|has|have|had|numbers?|dates?|ids?|status|history|details|counts?|totals?|confirmations?|"
    r"nothing|none|nobody|no)\b"
    r"|'s\b",
    re.IGNORECASE,
)
_CALL = re.compile(
    rf"^\W{{0,16}}{_ASIDE}[`*\"']{{0,4}}(?P<name>[a-z]\w*_\w+|[a-z]\w*(?=\()|(?-i:[a-z]+[A-Z]\w*))(?=[\s(`\"'*:]|$)",
    re.IGNORECASE,
)
_ASKS_USER = re.compile(
    r"^\W{0,16}(?:[\w']+\W+){0,3}(?:ask|asks|check with|confirm with|wait for|wait until)\s"
    r"(?:you|(?:the )?(?:user|requester|owner)|for (?:confirmation|permission|consent|approval)|"
    r"whether|if|which|them|him|her)",
    re.IGNORECASE,
)
_SHELL = re.compile(
    r"^\W{0,16}(?:run|bash|sh|shell|cmd|powershell|terminal|exec\w*|run_\w+|\w*_(?:shell|command))\b|^`", re.IGNORECASE
)
_REMOVES = re.compile(
    r"\brm\s+-|\bdrop\s+(?:table|database|schema)|\bdelete\s+from|\btruncate\s|\bshred\b", re.IGNORECASE
)
_TO_USER = re.compile(
    r"\b(?:to|with|for|send|tell|notify|inform|message|give|show|contact|dm|mail|email|text)\s+"
    r"(?:you|(?:the )?user|the requester)\b(?!['\u2019]s)",
    re.IGNORECASE,
)
_TURN = re.compile(r"[.!?;:,\n](?=\s|$)|\b(?:and|then|but|or)\b")
_TELL_ME = re.compile(
    r"\b(?:tell|show|remind|let) (?:me|us)\b(?! (?:in|into)\b)|\b(?:give|get|bring|send) me\b(?!.*\baccess)"
)
_IDIOM = re.compile(
    r"\bget (?:rid of|(?:me|us) (?:an?|some|another|two|three) (?!list|overview|summary|table|report|count|look))\b"
)
"""Asks for an act, though it begins with a word of reading."""
_PURPOSE = re.compile(r"\bto\s")
_WORD = re.compile(r"[a-z][a-z'\u2019-]*")


@dataclass(frozen=True)
class _Family:
    verbs: frozenset[str]
    phrases: tuple[re.Pattern[str], ...]
    harmless: tuple[re.Pattern[str], ...]
    stems: tuple[str, ...]
    request_phrases: tuple[re.Pattern[str], ...]

    def has(self, act: str, verb: str) -> bool:
        """Whether a clause that begins with this verb is one of its acts."""
        acts = verb in self.verbs or any(phrase.match(act) for phrase in self.phrases)
        return acts and not any(harmless.match(act) for harmless in self.harmless)

    def asked(self, clause: str) -> bool:
        """Whether a clause of a request asks for it."""
        return any(word.startswith(self.stems) for word in _WORD.findall(clause)) or any(
            phrase.search(clause) for phrase in self.request_phrases
        )


@cache
def _families() -> Mapping[str, _Family]:
    def compiled(expressions: Iterable[str]) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(expression, re.IGNORECASE) for expression in expressions)

    return {
        name: _Family(
            frozenset(own["step"].split()),
            compiled(own["phrases"]),
            compiled(own["harmless"]),
            tuple(own["request"].split()),
            compiled(own["request_phrases"]),
        )
        for name, own in tool_table()["plan"].items()
    }


def asked_for(turns: Iterable[str]) -> frozenset[str]:
    """The families that a user's turns ask for."""
    asking = [clause for turn in turns for clause in _asking(turn.casefold())]
    return frozenset(name for name, family in _families().items() if any(map(family.asked, asking)))


def _asking(turn: str) -> Iterator[str]:
    """The clauses of a turn that may ask for an act: not those whose first telling word asks to be told."""
    for clause in _TURN.split(turn):
        if _IDIOM.search(clause):
            yield clause
            continue
        if _TELL_ME.search(clause):
            continue
        first = next((word for word in _WORD.findall(clause) if word in _acting() or word in _reading()), "")
        if first not in _reading():
            yield clause
        elif purpose := _PURPOSE.search(clause):
            yield clause[purpose.end() :]


@cache
def _acting() -> frozenset[str]:
    table = tool_table()
    own = (verb for family in _families().values() for verb in family.verbs)
    return frozenset((*table["tools"]["acting"].split(), *table["delegation"]["acting"].split(), *own))


@cache
def _reading() -> frozenset[str]:
    table = tool_table()
    listed = (*table["tools"]["reading"].split(), *table["delegation"]["reading"].split())
    return frozenset(listed) - frozenset(["do"])


def act_of(step: str, asked: frozenset[str]) -> str | None:
    """The family of a step's act, one that nobody asked for first; None when it has no consequence for others."""
    found = [name for clause in _done(step) for name in _acts(clause)]
    return next((name for name in found if name not in asked), found[0] if found else None)


def _done(step: str) -> Iterator[str]:
    """The clauses up to one that asks the user: what follows depends on the answer."""
    for clause in clauses(step):
        if _ASKS_USER.search(clause):
            return
        yield clause


def _acts(clause: str) -> Iterator[str]:
    """The families of a clause."""
    if _SHELL.search(clause) and re.search(tool_table()["dangerous"]["command"], clause.casefold()):
        yield "destroy" if _REMOVES.search(clause) else "execute"
        return
    if called := _CALL.match(clause):
        yield from _called(called["name"])
        return
    opening = _OPENING.match(clause)
    if opening is None or _NO_ACT.match(opening["rest"]):
        return
    verb = opening["verb"].casefold()
    act = f"{opening['verb']}{opening['rest']}"
    for name, family in _families().items():
        if family.has(act, verb) and not (name == "communicate" and _TO_USER.search(clause)):
            yield name


def _called(tool: str) -> Iterator[str]:
    """The family of a tool by the first verb of its name."""
    by_verb = {verb: name for name, family in _families().items() for verb in family.verbs}
    verbs = [word for word in words(tool) if word in by_verb or word in _reading()]
    if verbs and verbs[0] in by_verb:
        yield by_verb[verbs[0]]
