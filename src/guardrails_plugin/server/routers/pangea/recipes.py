"""Pangea's recipes in terms of ours.

Its seven built-in recipes are the recipes of our stages; a project's own recipe of the same name comes first, and any
other recipe can be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin.recipes import Recipe
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.types import Stage

__all__ = ["DEFAULT", "WIRE_NAMES", "Chosen", "choose"]

DEFAULT = "pangea_prompt_guard"

_STAGES = {
    "pangea_prompt_guard": Stage.PROMPT,
    "pangea_ingestion_guard": Stage.INGESTION,
    "pangea_llm_prompt_guard": Stage.LLM_PROMPT,
    "pangea_llm_response_guard": Stage.RESPONSE,
    "pangea_agent_pre_plan_guard": Stage.PRE_PLAN,
    "pangea_agent_pre_tool_guard": Stage.PRE_TOOL,
    "pangea_agent_post_tool_guard": Stage.POST_TOOL,
}

WIRE_NAMES = {
    "prompt_injection": "prompt_injection",
    "pii": "pii_entity",
    "named_entities": "pii_entity",
    "secrets": "secrets_detection",
    "malicious_url": "malicious_entity",
    "code": "code_detection",
    "language": "language_detection",
    "toxicity": "profanity_and_toxicity",
    "self_harm": "selfharm",
    "role_play": "roleplay",
    "keywords": "custom_entity",
    "regex": "custom_entity",
    "system_prompt_leak": "hardening",
    "topics": "topic",
}
"""Our detectors as Pangea calls them; the others keep their names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A recipe to run.

    Attributes:
        name: what the client called it.
        made: it was made for this call, so that the engine does not know it by name.
        overrides: for the engine.
    """

    name: str
    stage: Stage
    recipe: Recipe
    made: bool = False
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def reference(self) -> str | Recipe:
        """What `Guarding.check` takes as ``recipe``."""
        return self.recipe if self.made else self.recipe.name


async def choose(guard: Guarding, exchange: Exchange, name: str, stage: Stage = Stage.PROMPT) -> Chosen:
    """The recipe of that name.

    Args:
        guard: knows the project's recipes.
        exchange: of the asking project.
        name: one of Pangea's, the project's, the operator's or the built-in ones.
        stage: for recipes that are not for one stage only.

    Raises:
        ApiError: 400, there is none.
    """
    known = {(recipe.name, recipe.stage): recipe for recipe in await guard.recipes(exchange)}
    own = _STAGES.get(name)
    wanted = own or stage
    found = known.get((name, wanted)) or known.get((name, None))
    if found is None and own is not None:
        found = known[own.value, own]
    if found is None:
        found = next((recipe for (called, _), recipe in known.items() if called == name), None)
        if found is None:
            raise faulty("/recipe", f"There is no recipe of the name {name[:80]!r}.", "DoesNotExist")
        wanted = found.stage or stage
    return Chosen(name, wanted, found)
