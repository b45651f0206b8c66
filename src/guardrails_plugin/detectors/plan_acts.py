"""Which consequential act a step of a plan is, and which of them a user's request asks for.

Eight families (``data/tool_use.toml``): communicate, pay, destroy, execute, access, commit, alter, conceal. A clause of
a step belongs to the family of the verb it begins with, in first person or as an imperative ("will be deleted" counts
as "delete"), of a phrase ("make ... public"), of the name of the tool it calls, or of a command or SQL statement; not
when the verb is about text, queries and tests, denied, or left to the user's answer.

A request asks for a family when one of its words does, in a clause that neither asks to be told ("which mails did I
send?") nor denies it; names of files and addresses ask for nothing. What it rules out ("don't send it yet") is not
wanted, whatever else it asks for. Limits: English; words, not meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from guardrails_plugin.detectors.plan_steps import clauses
from guardrails_plugin.detectors.tool_words import tool_table, words

__all__ = ["Act", "Asked", "act_of", "asked_for"]

_ASIDE = (
    r"(?:(?:(?!apply)[a-z]+ly|then|next|first|second|third|finally|also|now|"
    r"after that|afterwards|last|please|just|additionally|"
    r"(?:i|we)(?:'ll|\u2019ll)?|i'm|i am|i'd|would|start by|will|am going to|are going to|must|should|shall|can|to|go|"
    r"along the way|meanwhile|in passing|while at it|in addition|"
    r"(?:call|use|invoke)(?! (?:the|our|my|his|her|all|every|each|an?)\b))[\s,:.`*_]{1,16}){0,8}"
)
_NUMBER = r"(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten)"
_LABEL = rf"^\W{{0,16}}(?:(?:step|phase|stage|part|task|item) {_NUMBER}\W{{1,9}}|\d{{1,2}}[.):]\W{{0,3}})?"
_OPENING = re.compile(
    rf"{_LABEL}{_ASIDE}[`*_\"']{{0,4}}(?P<verb>[a-z][a-z-]*)\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NO_ACT = re.compile(
    r"\s+(?:of|is|are|was|were|has|have|had|numbers?|dates?|ids?|status|history|details|counts?|totals?|confirmations?|"
    r"nothing|none|nobody|no)\b"
    r"|'s\b",
    re.IGNORECASE,
)
_CALL = re.compile(
    rf"{_LABEL}{_ASIDE}[`*\"']{{0,4}}"
    r"(?P<name>[a-z]\w*_\w+|[a-z]\w*(?=\()|(?-i:[a-z]+[A-Z]\w*)|[a-z]\w*\.[a-z]\w*)(?=[\s(`\"'*:]|$)",
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
    r"|^\W*(?:please )?return (?:the|my|this|these|those) (?!list|number|name|value|count|result|answer|total|mean)"
)
"""Asks for an act, though it begins with a word of reading."""
_PURPOSE = re.compile(r"\bto\s")
_WORD = re.compile(r"[a-z][a-z'\u2019-]*")
_SHORT_STEM = 4
_ENDING = re.compile(r"e|e?s|e?d|ing|y|ies|ied|ying|e?ments?|ions?|([bdgklmnprt])(?:\1?ed|\1?ing)|(?:ed|ing)")
"""What may follow a stem of few letters: "let" is in "letting", and in "letter" it is not."""
_PASSIVE = re.compile(
    r"^\W*(?P<subject>[^.,;]{1,80}?)\s(?:(?:will|must|should|has to|have to|is to|are to) "
    r"(?:\w+ly |then |also |first )?be|"
    r"gets?|(?:is|are) (?:then|also))\s(?:\w+ly |then |also )?(?P<verb>[a-z]+)\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_DONE = re.compile(
    r"\b(?:nothing|none|no|nobody|how|what|which|who|if|when|whether|you|user|where|why)\b", re.IGNORECASE
)
_IRREGULAR: Mapping[str, str] = {
    "sent": "send", "paid": "pay", "sold": "sell", "bought": "buy", "cleared": "clear", "overwritten": "overwrite",
    "run": "run", "withdrawn": "withdraw",
}  # fmt: skip
_NOUN = re.compile(
    r"^\W*(?:(?:an?|the|one|another)\s)(?:[\w-]+\s){0,2}?(?P<noun>refund|payment|transfer|purchase|donation|deletion|removal|"
    r"cancellation|upload|invitation|message|mail|termination)s?\b(?P<rest>\s(?:of|to|for|from|with)\b.*?)?\s"
    r"(?:comes?|follows?|goes|is (?:next|made|issued)|takes place|happens)\b",
    re.IGNORECASE | re.DOTALL,
)
_NOUN_FAMILY: Mapping[str, str] = {
    "deletion": "destroy", "removal": "destroy", "cancellation": "commit", "termination": "commit",
    "upload": "communicate", "invitation": "communicate", "message": "communicate", "mail": "communicate",
}  # fmt: skip
_FILE = re.compile(
    r"\.(?:py|js|ts|sh|md|txt|json|ya?ml|toml|csv|xlsx?|docx?|pdf|html?|sql|log|ini|com|org|net|io)$", re.IGNORECASE
)


_STATEMENT = re.compile(
    r"^\W*(?:(?:run|execute|sql|query)\W+)?(?:drop|delete|truncate|update|insert|alter|create|grant)\b|[(\"'`=:]"
    r"|\b(?-i:DROP|DELETE|TRUNCATE|UPDATE|INSERT|ALTER|CREATE|GRANT)\b",
    re.IGNORECASE,
)
"""How SQL looks where it is no sentence: in quotes, as an argument, in capitals, or alone."""
_MEDIA = frozenset({"disk", "drive", "volume", "partition", "card", "device"})
"""What formatting destroys."""


class Act(NamedTuple):
    """A consequential act of a step: its family, and whether the user asked for it."""

    family: str
    wanted: bool


@dataclass(frozen=True)
class Asked:
    """What a user's turns ask for.

    Attributes:
        families: of acts.
        words: of the clauses that ask, as `_stem` has them; an act whose own verb is among them was asked for.
        ruled_out: families that the latest turn to speak of them forbids.
    """

    families: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    ruled_out: frozenset[str] = frozenset()

    def wants(self, family: str, verb: str) -> bool:
        """Whether an act was asked for."""
        return family not in self.ruled_out and (family in self.families or (verb != "" and _stem(verb) in self.words))


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
        return any(map(self.means, _WORD.findall(clause))) or any(
            phrase.search(clause) for phrase in self.request_phrases
        )

    def means(self, word: str) -> bool:
        """Whether a word of a request is a form of one of its stems; "reorder" is one of "order"."""
        forms = (word, word[2:].lstrip("-")) if word.startswith("re") else (word,)
        return any(form.startswith(stem) and _ends(form, len(stem)) for form in forms for stem in self.stems)


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


def asked_for(turns: Iterable[str]) -> Asked:
    """What a user's turns ask for, the latest first."""
    families: set[str] = set()
    words: set[str] = set()
    ruled_out: set[str] = set()
    for turn in turns:
        folded = _request("names").sub(" it ", turn.casefold())
        asking = list(_asking(folded))
        asked = {name for name, family in _families().items() if any(map(family.asked, asking))}
        denied = {name for verb in _forbidden(folded) for name, own in _families().items() if own.means(verb)}
        ruled_out |= denied - families
        families |= asked
        words |= {_stem(word) for clause in asking for word in _WORD.findall(clause)}
    return Asked(frozenset(families), frozenset(words), frozenset(ruled_out))


def _forbidden(turn: str) -> Iterator[str]:
    """The verbs that a turn rules out altogether."""
    for clause in _TURN.split(turn):
        if denied := _request("forbids").search(clause):
            yield denied[1]


def _asking(turn: str) -> Iterator[str]:
    """The clauses of a turn that may ask for an act: not those whose first telling word asks to be told."""
    for clause in _TURN.split(turn):
        if _IDIOM.search(clause):
            yield clause
            continue
        if _TELL_ME.search(clause) or _request("denies").search(clause):
            continue
        first = next((word for word in _WORD.findall(clause) if word in _acting() or word in _reading()), "")
        if first not in _reading() and not _request("question").search(clause):
            yield clause
        elif purpose := _PURPOSE.search(clause):
            yield clause[purpose.end() :]


@cache
def _request(name: str) -> re.Pattern[str]:
    return re.compile(tool_table()["request"][name], re.IGNORECASE)


def _ends(word: str, length: int) -> bool:
    """Whether what follows a stem of this length makes a form of it."""
    rest = word[length:]
    return not rest or length > _SHORT_STEM or rest.startswith(("'", "\u2019", "-")) or bool(_ENDING.fullmatch(rest))


def _stem(word: str) -> str:
    """A word without its ending, roughly."""
    bare = re.sub(r"(?:ing|ed|es|s|e)$", "", word) if len(word) > _SHORT_STEM else word.rstrip("e")
    bare = bare.removeprefix("re") if len(bare) > _SHORT_STEM + 2 else bare
    return bare[:-1] if len(bare) > _SHORT_STEM and bare[-1] == bare[-2] else bare


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


def act_of(step: str, asked: Asked) -> Act | None:
    """A step's act, one that nobody asked for first; None when it has no consequence for others."""
    found = [Act(name, asked.wants(name, verb)) for name, verb in _all_acts(step)]
    return next((act for act in found if not act.wanted), found[0] if found else None)


def _all_acts(step: str) -> Iterator[tuple[str, str]]:
    """The families of a step's acts and their verbs."""
    hiding = _families()["conceal"]
    if any(phrase.search(step) for phrase in hiding.phrases):
        yield "conceal", ""
    for clause in _done(step):
        yield from _acts(clause)


def _done(step: str) -> Iterator[str]:
    """The clauses up to one that asks the user: what follows depends on the answer."""
    for clause in clauses(step):
        if _ASKS_USER.search(clause):
            return
        yield clause


def _acts(clause: str) -> Iterator[tuple[str, str]]:
    """The families of a clause's acts and their verbs."""
    if family := _commanded(clause):
        yield family, ""
        return
    if (called := _CALL.match(clause)) and not _FILE.search(called["name"]):
        yield from _called(called["name"])
        return
    if (noun := _NOUN.match(clause)) and not _NOT_DONE.search(clause):
        yield _NOUN_FAMILY.get(noun["noun"].casefold(), "pay"), noun["noun"].casefold()
        return
    if (passive := _PASSIVE.match(clause)) and not _NOT_DONE.search(passive["subject"]):
        verb = _base(passive["verb"].casefold())
        yield from _by_words(f"{verb} {passive['subject']}{passive['rest']}", verb)
    opening = _OPENING.match(clause)
    if opening is None or _NO_ACT.match(opening["rest"]):
        return
    yield from _by_words(f"{opening['verb']}{opening['rest']}", opening["verb"].casefold())


def _by_words(act: str, verb: str) -> Iterator[tuple[str, str]]:
    """The families of an act that is put as an imperative."""
    for name, family in _families().items():
        if family.has(act, verb) and not (name == "communicate" and _TO_USER.search(act)):
            yield name, verb


@cache
def _base(participle: str) -> str:
    """A verb by its participle; the participle itself when no family knows the verb."""
    if participle in _IRREGULAR:
        return _IRREGULAR[participle]
    verbs = {verb for family in _families().values() for verb in family.verbs}
    bare = participle.removesuffix("ed")
    forms = (f"{bare}e", bare, bare[:-1], f"{bare.removesuffix('i')}y")
    return next((form for form in forms if form in verbs), bare if participle != bare else participle)


def _commanded(clause: str) -> str:
    """The family of a command line or SQL statement that a clause is or holds; "" when it is none or only reads."""
    table = tool_table()["command"]
    if re.search(table["removes_rows"], clause, re.IGNORECASE) and _STATEMENT.search(clause):
        return "destroy"
    if re.search(table["changes_rows"], clause, re.IGNORECASE) and _STATEMENT.search(clause):
        return "alter"
    if _SHELL.search(clause) and re.search(tool_table()["dangerous"]["command"], clause.casefold()):
        return "destroy" if _REMOVES.search(clause) else "execute"
    parts = [part for part in clause.strip(" \t`$>\"'*").split() if part != "sudo"]
    if len(parts) < 2 or parts[0] not in table["programs"].split():
        return ""
    if parts[0] in ("curl", "wget"):
        return "communicate" if re.search(table["sends"], clause) else ""
    families = ("destroy", "execute", "access", "commit", "communicate")
    return next((name for part in parts[:5] for name in families if part in table[name].split()), "")


def _called(tool: str) -> Iterator[tuple[str, str]]:
    """The family of a tool by the first verb of its name, or by the name as a phrase ("set_limit")."""
    by_verb = {verb: name for name, family in _families().items() for verb in family.verbs}
    said = words(tool)
    verbs = [word for word in said if word in by_verb or word in _reading() or word in _acting()]
    if not verbs:
        for act in (said, (said[-1], *said[:-1])):  # "close_account", "account.close"
            yield from _by_words(" ".join(act), act[0])
        return
    if verbs[0] in _reading() or (verbs[0] == "format" and not _MEDIA.intersection(said)):
        return
    if verbs[0] in by_verb:
        yield by_verb[verbs[0]], verbs[0]
        return
    yield from _by_words(" ".join((verbs[0], *(word for word in said if word != verbs[0]))), verbs[0])
