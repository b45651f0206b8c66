"""Steps of a plan that serve nothing the user asked for.

A plan that was taken over by an injected instruction has a step too many: send, pay, delete, run, grant access, though
the user asked for nothing of the kind. Two rules, over the steps of `plan_steps` (items, sentences, fields, calls):

- ``verb``: a step is one of eight families of consequential acts (`plan_acts`), and no word of the user's turns asks
  for that family, or the user ruled it out;
- ``target``: a consequential step names an address, host or account that stands in outside text only and that the user
  did not leave to the agent; see `provenance`.

Steps towards the user ("send you the summary") and reading, computing, writing text are nobody's harm. Without
``Context.prompt`` there is nothing to compare with, and nothing is found. Meant for ``pre_plan`` and for responses that
are plans; in answers to people ("1. Post an advertisement") advice looks the same, so no built-in recipe has it.
`PlanJudge` asks a language model instead.
Source: rules written for this project; OWASP LLM06:2025 (excessive agency) for what they are against.
Limits: English; words, not meaning: a hijacked step of a requested family to
an unnamed target passes; a list item that merely begins with such a verb ("Order of merit") is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, field
from dataclasses import dataclass as plain_dataclass
from types import MappingProxyType
from typing import ClassVar

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.delegation import delegated
from guardrails_plugin.detectors.judge import ChatModel, Judge
from guardrails_plugin.detectors.plan_acts import Asked, act_of, asked_for
from guardrails_plugin.detectors.plan_steps import steps
from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import mentioned
from guardrails_plugin.types import Context, Finding, Origin, Text

__all__ = ["PlanCheck", "PlanJudge"]

_TYPE = "UNREQUESTED_STEP"
_SCORES: Mapping[str, float] = MappingProxyType({"verb": 0.7, "target": 0.9})
"""Judgement: a verb may serve the request in a way that words do not show; a foreign target hardly does."""


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
        asked = asked_for(said)
        return [by_place(self._findings(text, context, asked, (trusted, outside))) for text in texts]

    def _findings(
        self, text: Text, context: Context, asked: Asked, sides: tuple[Sources, Sources]
    ) -> Iterator[Finding]:
        if text.origin in (Origin.SYSTEM, Origin.EXTERNAL) or text.part is not None:
            return
        view = text.views[0]
        for start, end in steps(view.text, text.hint):
            step = view.text[start:end]
            act = act_of(step, asked)
            if act is None:
                continue
            why = "target" if _strays(step, context, sides) else "" if act.wanted else "verb"
            if why:
                span = view.span(start, end)
                evidence = {"rule": why, "family": act.family}
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


def _strays(step: str, context: Context, sides: tuple[Sources, Sources]) -> bool:
    """True when a step names a target that only outside text has and the user did not leave open."""
    trusted, outside = sides
    return any(
        not trusted.have(target)
        and outside.have(target)
        and not delegated(target, context.prompt, context.history, outside)
        for target in mentioned(step)
    )
