"""HiddenLayer's evaluations: an interaction in the canonical form, with what was found in each of its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.routers.hiddenlayer.analysis import SIGNALS, Side, analyze, level
from guardrails_plugin.server.routers.hiddenlayer.payloads import canonical, guarded, is_response, refused
from guardrails_plugin.server.routers.hiddenlayer.recipes import entity
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Decision, Stage, Verdict

__all__ = ["Evaluated", "evaluate"]

_ACTIONS = {Verdict.ALLOW: "NONE", Verdict.REPORT: "DETECT", Verdict.TRANSFORM: "REDACT", Verdict.BLOCK: "BLOCK"}
_REFUSED = {
    "role": "assistant",
    "content": [{"type": "text", "text": "This content was blocked by the security policy."}],
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluated interaction.

    Attributes:
        interaction: the messages with their signals.
        outcome: action, threat level, detections, and what should go on.
        policy_id: the rules that were applied.
    """

    interaction: dict[str, Any] = field(repr=False)
    outcome: dict[str, Any] = field(repr=False)
    policy_id: str


async def evaluate(services: Services, exchange: Exchange, given: Mapping[str, Any]) -> Evaluated:
    """Judge what models said by the output's rules and all else by the input's."""
    messages = canonical(given)
    tools = {"tools_available": given["tools_available"]} if "tools_available" in given else {}
    spoken = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    others = [index for index in range(len(messages)) if index not in set(spoken)]
    sides: list[tuple[Side, Sequence[int]]] = []
    if others or tools or not spoken:
        content = {"messages": [messages[index] for index in others], **tools}
        sides.append((await analyze(services, exchange, content, Stage.PROMPT), others))
    if spoken:
        content = {"messages": [messages[index] for index in spoken]}
        sides.append((await analyze(services, exchange, content, Stage.RESPONSE), spoken))
    return Evaluated(
        interaction={
            "messages": [{**message, "analysis": _analysis(index, sides)} for index, message in enumerate(messages)],
            **tools,
        },
        outcome=await _outcome(services, exchange, given, sides),
        policy_id=f"{sides[0][0].recipe.name}:{sides[0][0].recipe.version}",
    )


def _analysis(index: int, sides: Sequence[tuple[Side, Sequence[int]]]) -> dict[str, Any]:
    """Every signal, those that did not fire too."""
    signals: dict[str, Any] = {name: _signal([]) for name in SIGNALS}
    for side, places in sides:
        if index not in places:
            continue
        here = places.index(index)
        for name in side.names:
            signals[name] = _signal([d for d in side.of(name) if side.message(d.finding) == here])
    return {"signals": signals}


def _signal(decisions: Sequence[Decision]) -> dict[str, Any]:
    return {
        "detected": bool(decisions),
        "types": sorted({entity(decision.finding.entity_type) for decision in decisions}),
        "confidence": round(max((decision.finding.score for decision in decisions), default=0.0), 6),
    }


async def _outcome(
    services: Services, exchange: Exchange, given: Mapping[str, Any], sides: Sequence[tuple[Side, Sequence[int]]]
) -> dict[str, Any]:
    only = [side for side, _ in sides]
    worst = max(side.verdict for side in only)
    found = {name: side.of(name) for side in only for name in side.names if side.of(name)}
    return {
        "action": _ACTIONS[worst],
        "threat_level": level(only).upper(),
        "detections": [{"rule_name": name, "risk_level": _risk(decisions)} for name, decisions in found.items()],
        "effective_interaction": await _effective(services, exchange, given, sides, worst),
    }


def _risk(decisions: Sequence[Decision]) -> str:
    return ("LOW", "LOW", "MEDIUM", "HIGH")[max(decision.verdict for decision in decisions)]


async def _effective(
    services: Services,
    exchange: Exchange,
    given: Mapping[str, Any],
    sides: Sequence[tuple[Side, Sequence[int]]],
    worst: Verdict,
) -> Any:
    """What the caller should send on, in the form that it gave."""
    if worst < Verdict.TRANSFORM:
        return dict(given)
    native = not _is_canonical(given)
    if worst is Verdict.BLOCK:
        return refused(given, exchange.id) if native else {"messages": [_REFUSED]}
    if native:
        # The canonical form has been judged; the provider's own is redacted where it stands.
        stage = Stage.RESPONSE if is_response(given) else Stage.PROMPT
        side = await analyze(services, exchange, guarded(given), stage)
        return {**given, **side.modified}
    messages = list(given["messages"])
    made = dict(given)
    for side, places in sides:
        modified = side.modified
        for place, message in zip(places, modified["messages"], strict=True):
            messages[place] = message
        made |= {key: value for key, value in modified.items() if key != "messages"}
    return {**made, "messages": messages}


def _is_canonical(given: Mapping[str, Any]) -> bool:
    """Content in parts of the canonical types, and nothing that only providers send."""
    if set(given) - {"messages", "tools_available"} or not isinstance(given.get("messages"), list):
        return False
    parts = [message.get("content") for message in given["messages"] if isinstance(message, Mapping)]
    return all(isinstance(part, list) for part in parts)
