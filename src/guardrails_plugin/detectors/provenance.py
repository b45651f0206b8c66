"""Values in a tool call that only outside text can have suggested, and calls that break an argument policy.

A page, mail or tool result may tell the model whom to write to, where to upload, which account to pay. So at
``pre_tool`` every target of a call that acts on the world (`tool_targets`: recipients, hosts, accounts, phone numbers,
amounts, paths, commands) is looked for in what the user and the developer said (``Context.prompt``, ``history``,
``system``) and in what came from outside (``Context.untrusted``). Found outside only, it is

- ``TAINTED_ARGUMENT``: nothing the user said leads there. The built-in recipe blocks.
  So is what the text tells its reader to use (`planted`), and what acts where the user only wanted an answer.
- ``DELEGATED_ARGUMENT``: the user left it to what the agent reads, or named whom it belongs to (`delegation`), or it
  is of a kind that agents look up as a matter of course: ids and ordinary paths (`looked_up`), ordinary commands, an
  amount where the user gave none. Reported.

Values found on neither side are the model's own and nobody's taint; an argument policy can demand that they come from
the user. Data-flow idea: Denning, "A Lattice Model of Secure Information Flow" (1976), reduced to whole values.
Source: the rules are this project's; compare Debenedetti et al., "Defeating Prompt Injections by Design" (2025), and
OWASP LLM06:2025 (excessive agency).
Limits: values that the model changes (translates, computes, splits over arguments) are not recognised; what the user
pasted counts as the user's; English words for delegation; e-mail domains and hosts count as one organisation each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.delegation import delegated, references, wants_only_an_answer
from guardrails_plugin.detectors.looked_up import looked_up
from guardrails_plugin.detectors.planted import Cue, cue, follows, leaves_open, request_of
from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import Argument, Target, amounts, arguments, fold, targets
from guardrails_plugin.detectors.tool_words import acts, matches, neutral, tool_table
from guardrails_plugin.matching import compile_pattern
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["ArgumentPolicy", "Provenance"]

_TAINTED, _DELEGATED, _POLICY = "TAINTED_ARGUMENT", "DELEGATED_ARGUMENT", "ARGUMENT_POLICY"
_SCORES: Mapping[str, float] = MappingProxyType(
    {"email": 0.95, "url": 0.9, "account": 0.95, "phone": 0.9, "path": 0.85, "command": 0.85}
)
"""How surely a value of a kind that stands outside only came from there: long values do not coincide. Judgement."""
_OTHER_SCORE = 0.75
_DELEGATED_SCORE = 0.6
_UNTOLD = "untold"
_CHOSEN = frozenset({"id", "path", "value"})
"""Kinds that agents choose among what they find."""

Kind = Literal["email", "url", "account", "phone", "amount", "recipient", "path", "command", "id", "value"]


@dataclass(frozen=True, config=SETTINGS)
class ArgumentPolicy:
    """What an argument may hold. Every condition that is given must be met.

    Attributes:
        tool: name or glob of the tools, case ignored.
        argument: name or glob of the argument, with dots from the outermost field ("payment.iban"), case ignored.
        source: ``user``: every value must occur in what the user said.
        allow: the only values, compared case-folded; ``*.example.com`` and other globs are understood.
        pattern: regular expression (re2) that a value must match as a whole.
        most: greatest number.
        least: least number.
    """

    tool: str
    argument: str
    source: Literal["any", "user"] = "any"
    allow: tuple[str, ...] = ()
    pattern: str = ""
    most: float = math.inf
    least: float = -math.inf

    def __post_init__(self) -> None:
        _ = self._compiled

    @cached_property
    def _compiled(self) -> Any:
        return compile_pattern(f"(?s)^(?:{self.pattern})$", where=f"provenance: policy for {self.tool!r}: pattern")

    def broken(self, argument: Argument, trusted: Sources) -> str:
        """Name of the first condition that a value does not meet; "" when it meets all."""
        value = argument.value.strip()
        if self.allow and not matches(fold(value), map(fold, self.allow)):
            return "allow"
        if self.pattern and self._compiled.search(value.encode("utf-8", "replace")) is None:
            return "pattern"
        if (self.most, self.least) != (math.inf, -math.inf) and not self._within(value):
            return "range"
        return "source" if self.source == "user" and not _said(argument, trusted) else ""

    def _within(self, value: str) -> bool:
        try:
            number = float(value)
        except ValueError:
            return False
        return self.least <= number <= self.most


@dataclass(frozen=True, config=SETTINGS)
class Provenance:
    """See the module.

    Attributes:
        consequential: further tools, as names or globs, whose calls are judged; by default those whose name says that
            they act (send, pay, transfer, delete, post, share, invite, execute, write ...).
        harmless: tools that are never judged, whatever they are called.
        kinds: which kinds of values are judged.
        allow: e-mail addresses, domains, accounts that may stand in any call; a domain covers what is under it.
        delegation: False blocks also what the user's words leave open.
        policies: what single arguments may hold; they count for every tool they name.
    """

    consequential: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    kinds: frozenset[Kind] = frozenset(
        {"email", "url", "account", "phone", "amount", "recipient", "path", "command", "id", "value"}
    )
    allow: tuple[Annotated[str, Field(min_length=1)], ...] = field(default=(), repr=False)
    delegation: bool = True
    policies: tuple[ArgumentPolicy, ...] = ()

    name: ClassVar[str] = "provenance"
    entity_types = frozenset({_TAINTED, _DELEGATED, _POLICY})
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    @cached_property
    def _allowed(self) -> Sources:
        return Sources([value.removeprefix("@").removeprefix("*.") for value in self.allow])

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        if not any(text.part for text in texts):
            return [()] * len(texts)
        trusted = Sources([context.prompt, *context.history, context.system])
        outside = Sources(context.untrusted)
        return [by_place(_best(self._findings(text, context, trusted, outside))) for text in texts]

    def _findings(self, text: Text, context: Context, trusted: Sources, outside: Sources) -> Iterator[Finding]:
        part = text.part
        if part is None or part.argument is None:
            return
        for argument in arguments(text) if self.policies else ():
            yield from self._policed(text, part.tool, argument, trusted)
        if not context.untrusted or matches(part.tool, self.harmless):
            return
        judged = acts(part.tool) or matches(part.tool, self.consequential)
        for target in targets(text):
            if target.kind not in self.kinds or self._allows(target) or _has(trusted, target):
                continue
            if not _from(outside, target, trusted):
                continue
            why = (
                self._why(part.tool, target, context, trusted, outside)
                if judged
                else _fetched(target, context, outside)
            )
            if why == _UNTOLD:
                continue
            kind, score = (_DELEGATED, _DELEGATED_SCORE) if why else (_TAINTED, _SCORES.get(target.kind, _OTHER_SCORE))
            evidence = {"kind": target.kind, **({"reason": why} if why else {})}
            yield Finding(self.name, kind, score, target.start, target.end, text.segment, evidence)

    def _policed(self, text: Text, tool: str, argument: Argument, trusted: Sources) -> Iterator[Finding]:
        for number, policy in enumerate(self.policies, 1):
            applies = matches(tool, [policy.tool]) and matches(argument.name, [policy.argument])
            if applies and (broken := policy.broken(argument, trusted)):
                evidence: dict[str, str | float] = {"policy": float(number), "condition": broken}
                yield Finding(self.name, _POLICY, 1.0, argument.start, argument.end, text.segment, evidence)

    def _allows(self, target: Target) -> bool:
        if not self.allow:
            return False
        host = target.key.rpartition("@")[2] if target.kind == "email" else target.key
        return self._allowed.have(target) or (
            target.kind in ("email", "url") and any(_under(host, allowed) for allowed in self.allow)
        )

    def _why(self, tool: str, target: Target, context: Context, trusted: Sources, outside: Sources) -> str:
        """Why a value from outside is not tainted; `_UNTOLD` when it is not even worth a report."""
        said = (*context.history, context.prompt)
        request = request_of(said)
        found: Cue = "" if follows(request) else cue(target, outside, request)
        if found in ("agent", "redirect"):
            return ""
        if target.kind in _CHOSEN and not _dangerous(target):
            if wants_only_an_answer(said) and not neutral(tool):
                return ""
            if found == "told" and not leaves_open(target, request, references(target.kind)[1:]):
                return ""
        if target.kind == "value":
            return _UNTOLD
        return self._open(tool, target, context, trusted, outside)

    def _open(self, tool: str, target: Target, context: Context, trusted: Sources, outside: Sources) -> str:
        """Why a value from outside may be what the user wants; "" when nothing says so."""
        ordinary = target.kind == "id" or (target.kind == "path" and not _dangerous(target))
        if ordinary and looked_up(tool, target, (*context.history, context.prompt), outside):
            return "looked_up"
        if target.kind == "command" and not _dangerous(target):
            return "harmless_command"
        if not self.delegation:
            return ""
        if why := delegated(target, context.prompt, context.history, outside):
            return why
        if target.kind == "amount" and not trusted.numbers:
            return "left_open"
        return ""


def _has(trusted: Sources, target: Target) -> bool:
    """True when the user said a value; of a plain number also in another notation."""
    if target.kind != "value":
        return trusted.have(target)
    number = re.fullmatch(r"[\d.,]+", target.key)
    return trusted.have(target) or bool(number and amounts(target.key) & trusted.numbers)


def _fetched(target: Target, context: Context, outside: Sources) -> str:
    """`_UNTOLD`, but "" for what a reading tool fetches because outside text tells agents to: addresses, secrets."""
    if target.kind != "url" and not (target.kind == "path" and _dangerous(target)):
        return _UNTOLD
    request = request_of((*context.history, context.prompt))
    return "" if not follows(request) and cue(target, outside, request) == "agent" else _UNTOLD


def _best(findings: Iterable[Finding]) -> Iterable[Finding]:
    """One finding for a place and type, the surest; two views show the same value twice."""
    best: dict[tuple[int, int, str], Finding] = {}
    for finding in findings:
        place = (finding.start, finding.end, finding.entity_type)
        if place not in best or best[place].score < finding.score:
            best[place] = finding
    return best.values()


def _said(argument: Argument, trusted: Sources) -> bool:
    """True when the user said a value, in any of the ways it can be compared."""
    value = fold(argument.value)
    if not value:
        return True
    numbers = amounts(value) if re.fullmatch(r"[\d.,]+", value) else frozenset[Decimal]()
    kinds = ("email", "url", "account") if len(value) > 4 else ("email", "url")
    forms = {kind: re.sub(r"[^0-9a-z]", "", value) if kind == "account" else value for kind in kinds}
    return bool(numbers & trusted.numbers) or any(
        form and trusted.have(Target(kind, form, 0, 0, "")) for kind, form in forms.items()
    )


def _from(outside: Sources, target: Target, trusted: Sources) -> bool:
    """True when outside text can have suggested a value: it stands there, or the domain of an address does.

    A host below a domain that the user named is the user's.
    """
    host = target.key.rpartition("@")[2] if target.kind == "email" else target.key
    known = target.kind in ("email", "url") and trusted.have_domain(host)
    if target.kind == "email":
        return outside.have(target) or (not known and outside.have_domain(host))
    return not known and outside.have(target)


def _under(host: str, allowed: str) -> bool:
    domain = fold(allowed).removeprefix("*.").removeprefix("@")
    return "@" not in domain and (host == domain or host.endswith(f".{domain}"))


def _dangerous(target: Target) -> bool:
    expression = tool_table()["dangerous"].get(target.kind)
    return expression is not None and re.search(expression, target.key) is not None
