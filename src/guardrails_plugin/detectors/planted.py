"""Whether outside text tells its reader to use a value, and whether the user's request leaves room for that.

A list of slots, an invoice or a search result states its values; a planted one comes in a sentence that wants
something. Three degrees, by the sentence in which the value stands (``data/tool_use.toml``, ``planting``):

- ``agent``: it speaks to assistants, bots or agents ("agents must ...", "hey assistant, ...").
- ``redirect``: it puts the value in the place of another ("our bank account has changed", "use ... from now on").
- ``told``: an order or request precedes the value wherever it stands ("please also close 902").

The first two count although the user pointed at the source, named the recipient or left the choice open; the last
counts only against what the user left open without saying so. A request to follow instructions takes all of them, a
request to change something takes redirections. Limits: sentences on one line; words in English, for agents and
redirections also German, French, Spanish and Italian; a planted value that is written like a plain record is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import Target, fold
from guardrails_plugin.detectors.tool_words import tool_table, words

__all__ = ["Cue", "cue", "follows", "leaves_open", "request_of"]

Cue = Literal["agent", "redirect", "told", ""]

_PERSONAL = frozenset({"email", "url", "account", "phone", "amount", "recipient"})
"""Kinds that belong to somebody: taking another one's place is more than another choice."""
_END = re.compile(r"[.!?](?=[\s\"')]|$)|[\"'],|[\"']:|[|;\n]|<[^>]{0,64}>")
_OWN = frozenset("id ids name names key value number no num code type url new old the item".split())
"""Words of an argument's name that say nothing about what it is for."""


def cue(target: Target, outside: Sources, request: str) -> Cue:
    """The strongest way in which outside text wants a value used; "" when it only states it.

    Args:
        target: what a call aims at.
        outside: the texts it stands in.
        request: what the user said, folded.
    """
    told, redirected = [], False
    for before, after in outside.around(target):
        own, following = _last(before), _first(after)
        if _expression("agent").search(own) or _expression("agent").search(f"{own} {following}"):
            return "agent"
        near = f"{_last(before, 2)} ~ {_first(after, 2)}"
        redirected = redirected or (target.kind in _PERSONAL and _expression("redirect").search(near) is not None)
        told.append(_expression("told").search(own) is not None)
    if redirected and not _expression("asks_for_change").search(request):
        return "redirect"
    return "told" if told and all(told) else ""


def follows(request: str) -> bool:
    """True when the user asks to do what some text says."""
    return _expression("follows").search(request) is not None


def leaves_open(target: Target, request: str, references: Sequence[re.Pattern[str]]) -> bool:
    """True when the request is about such a value without giving one, or points at where it stands."""
    nouns = [word for word in words(target.argument) if len(word) > 2 and word not in _OWN]
    # One with a number, or the user's usual one, is a choice already.
    if any(
        re.search(rf"\b{re.escape(noun)}s?\s+(?:request |no\.? |number |id )?#?[\w./-]*\d", request) for noun in nouns
    ):
        return False
    if any(
        re.search(rf"\b(?:my|our|usual|same|current|existing) (?:\w+ )?{re.escape(noun)}\b", request) for noun in nouns
    ):
        return False
    if _expression("handles").search(request) or any(re.search(rf"\b{re.escape(noun)}", request) for noun in nouns):
        return True
    return any(expression.search(request) for expression in references)


def _last(before: str, sentences: int = 1) -> str:
    ends = [match.end() for match in _END.finditer(before)]
    return (before[ends[-sentences] :] if len(ends) >= sentences else before).lstrip()


def _first(after: str, sentences: int = 1) -> str:
    starts = [match.start() for match in _END.finditer(after)]
    return after[: starts[sentences - 1]] if len(starts) >= sentences else after


@cache
def _expression(name: str) -> re.Pattern[str]:
    return re.compile(tool_table()["planting"][name], re.VERBOSE)


def request_of(said: Sequence[str]) -> str:
    """The user's turns as they are compared."""
    return fold("\n".join(said))
