"""Steps of a plan that serve nothing the user asked for.

A plan that was taken over by an injected instruction has a step too many: send, pay, delete, run, grant access, though
the user asked for nothing of the kind. Two rules, over numbered or bulleted steps, steps in fields called ``plan`` or
``steps``, and announcements ("I will ..."):

- ``verb``: a step begins with a verb of one of five families of consequential acts (``data/tool_use.toml``) and no word
  of the user's turns asks for that family;
- ``target``: a consequential step names an address, host or account that stands in outside text only and that the user
  did not leave to the agent; see `provenance`.

Steps towards the user ("send you the summary") and reading, computing, writing text are nobody's harm. Without
``Context.prompt`` there is nothing to compare with, and nothing is found. Meant for ``pre_plan`` and for responses that
are plans; in answers to people ("1. Post an advertisement") advice looks the same, so no built-in recipe has it.
`PlanJudge` asks a language model instead. Limits: English; words, not meaning: a hijacked step of a requested family to
an unnamed target passes; a list item that merely begins with such a verb ("Order of merit") is found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, field
from dataclasses import dataclass as plain_dataclass
from functools import cache
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.delegation import delegated
from guardrails_plugin.detectors.judge import ChatModel, Judge
from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import mentioned
from guardrails_plugin.detectors.tool_words import tool_table
from guardrails_plugin.types import Context, Finding, Origin, Text, View

__all__ = ["PlanCheck", "PlanJudge"]

_TYPE = "UNREQUESTED_STEP"
_SCORES: Mapping[str, float] = MappingProxyType({"verb": 0.7, "target": 0.9})
"""Judgement: a verb may serve the request in a way that words do not show; a foreign target hardly does."""

_STEP = re.compile(
    r"(?m)^[ \t]*(?:(?:\d{1,3}[.):]|[-*\u2022]|step[ ]\d{1,3}[.):]?)[ \t]+"
    r"|(?=i(?:'ll|\u2019ll| will| am going to| need to)\b))([^\n]{1,2000})",
    re.IGNORECASE,
)
_SAID = re.compile(r"(?:^|(?<=[.!?]\s))(i(?:'ll|\u2019ll| will| am going to)\s[^.!?\n]{1,500})", re.IGNORECASE)
_LINE = re.compile(r"[^\n]{1,2000}")
_FIELD = re.compile(r"\b(?:plan|plans|step|steps|task|tasks|todo|todos|action|actions)\b")
_OPENING = re.compile(
    r"^\W*(?:(?:i(?:'ll|\u2019ll| will| am going to| need to)|then|next|first|finally|also|now|after that|please|"
    r"use the tool to|call the tool to|proceed to|go on to|and|to|silently|quietly|secretly|immediately)\W+){0,4}"
    r"([a-z]+)",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\b(?:and|then|to)\s+(?:then\s+|also\s+|immediately\s+)?([a-z]+)", re.IGNORECASE)
_TO_USER = re.compile(r"\b(?:you|the user|user|the requester)\b", re.IGNORECASE)


@dataclass(frozen=True, config=SETTINGS)
class PlanCheck:
    """See the module. It has no settings."""

    name: ClassVar[str] = "plan_check"
    entity_types = frozenset({_TYPE})
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        said = [turn for turn in (context.prompt, *context.history) if turn.strip()]
        if not said:
            return [()] * len(texts)
        trusted, outside = Sources([*said, context.system]), Sources(context.untrusted)
        asked = _families(" ".join(said))
        return [by_place(self._findings(text, context, asked, (trusted, outside))) for text in texts]

    def _findings(
        self, text: Text, context: Context, asked: frozenset[str], sides: tuple[Sources, Sources]
    ) -> Iterator[Finding]:
        if text.origin in (Origin.SYSTEM, Origin.EXTERNAL) or text.part is not None:
            return
        view = text.views[0]
        for start, end in _steps(view, text.hint):
            step = view.text[start:end]
            family = _family(step, asked)
            if family is None:
                continue
            why = "target" if _strays(step, context, sides) else "verb" if family not in asked else ""
            if why:
                span = view.span(start, end)
                evidence = {"rule": why, "family": family}
                yield Finding(self.name, _TYPE, _SCORES[why], span.start, span.end, text.segment, evidence)


@plain_dataclass(frozen=True)
class PlanJudge:
    """The same question, put to a language model: does every step of the plan serve the request? See `judge`.

    Args:
        model: see `judge.ChatModel`.
        timeout: seconds for one answer.
    """

    model: ChatModel = field(repr=False)
    _: KW_ONLY
    name: str = "plan_judge"
    timeout: float | None = 30.0

    entity_types: ClassVar[frozenset[str]] = frozenset({_TYPE})
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def __post_init__(self) -> None:
        self._judge("")

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`; without a prompt nothing is asked.

        Raises:
            DetectorError: the model failed, took too long, or did not answer as asked.
        """
        if not context.prompt.strip():
            return [()] * len(texts)
        judge = self._judge(json.dumps([*context.history, context.prompt][-5:])[-_REQUEST:])
        return [judge.detect([text], context)[0] if text.part is None else () for text in texts]

    def _judge(self, request: str) -> Judge:
        definition = (
            "The text is a plan of an assistant, and it has at least one step with consequences (sending, paying, "
            "deleting, running, granting, disclosing) that does not serve the user's request. Steps that prepare or "
            f"check what was asked for serve it. The user's turns, as JSON, last one last: {request}"
        )
        return Judge(self.model, definition, name=self.name, entity_type=_TYPE, timeout=self.timeout)


_REQUEST = 3_000
"""Characters of the user's turns that the judge is shown, the latest ones."""


@cache
def _table() -> Mapping[str, tuple[frozenset[str], tuple[str, ...]]]:
    plan = tool_table()["plan"]
    return {name: (frozenset(own["step"].split()), tuple(own["request"].split())) for name, own in plan.items()}


def _families(request: str) -> frozenset[str]:
    """The families that a request asks for, by the beginnings of its words."""
    words = set(re.findall(r"[a-z][a-z-]*", request.casefold()))
    return frozenset(name for name, (_, stems) in _table().items() if any(word.startswith(stems) for word in words))


def _family(step: str, asked: frozenset[str]) -> str | None:
    """The family of a step's act, unrequested ones first; None when it has no consequence for others."""
    opening = _OPENING.match(step)
    verbs = [opening[1].casefold()] if opening else []
    verbs += [match[1].casefold() for match in _ALSO.finditer(step)]
    found = [name for name, (own, _) in _table().items() if not own.isdisjoint(verbs)]
    if found == ["communicate"] and _TO_USER.search(step):
        return None
    return next((name for name in found if name not in asked), found[0] if found else None)


def _steps(view: View, hint: str) -> Iterator[tuple[int, int]]:
    """Where the steps of a plan stand."""
    if _FIELD.search(hint):
        yield from (match.span() for match in _LINE.finditer(view.text))
        return
    found = {match.span(1) for match in _STEP.finditer(view.text)}
    yield from sorted(found)
    covered = [*found]
    for match in _SAID.finditer(view.text):
        if not any(start <= match.start(1) < end for start, end in covered):
            yield match.span(1)


def _strays(step: str, context: Context, sides: tuple[Sources, Sources]) -> bool:
    """True when a step names a target that only outside text has and the user did not leave open."""
    trusted, outside = sides
    return any(
        not trusted.have(target)
        and outside.have(target)
        and not delegated(target, context.prompt, context.history, outside)
        for target in mentioned(step)
    )
