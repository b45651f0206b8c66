"""Pangea's Prompt Guard: one question to the injection rule of the prompt recipe."""

from __future__ import annotations

from typing import Any

from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.routers.pangea.recipes import choose
from guardrails_plugin.server.routers.pangea.schemas import PromptGuardBody
from guardrails_plugin.server.services import Services
from guardrails_plugin.types import Finding, GuardResult, Origin, Stage

__all__ = ["judged"]

_RULE = Rule(detector="prompt_injection", action="block", threshold="balanced", trusted=["system"])  # type: ignore[arg-type]


async def judged(services: Services, exchange: Exchange, body: PromptGuardBody) -> tuple[str, dict[str, Any]]:
    """Summary and result: what was found, by which analyzer, whether in the user's words or in others'."""
    chosen = await choose(services.guard, exchange, "pangea_prompt_guard")
    rule = next((rule for rule in chosen.recipe.rules if rule.detector == _RULE.detector), _RULE)
    recipe = Recipe(name="prompt_guard", stage=Stage.PROMPT, rules=[rule])
    messages = [message.model_dump() for message in body.messages]
    result = complete(await services.guard.check(exchange, messages, stage=Stage.PROMPT, recipe=recipe, debug=True))
    worst = max((d.finding for d in result.decisions), key=_score, default=None)
    found: dict[str, Any] = {"detected": worst is not None}
    if worst is not None:
        found |= {
            "analyzer": str(worst.evidence.get("analyzer", "rules")),
            "type": _place(worst),
            "confidence": round(worst.score, 4),
            "info": str(worst.evidence.get("category", "")),
        }
    if body.classify:
        found["classifications"] = [
            {"category": "prompt_injection", "detected": worst is not None, "confidence": round(_likeliest(result), 4)}
        ]
    said = "Malicious Prompt was detected." if worst else "Malicious Prompt was not detected."
    return said, found


def _place(finding: Finding) -> str:
    """Whether the attack stands in what the user typed; rules alone tell it by their category."""
    typed = finding.evidence.get("origin", Origin.USER.value) == Origin.USER.value
    return "direct" if typed and finding.evidence.get("category") != "indirect" else "indirect"


def _score(finding: Finding) -> float:
    return finding.score


def _likeliest(result: GuardResult) -> float:
    return max(map(_score, result.raw or ()), default=0.0)
