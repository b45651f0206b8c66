"""A person decides about what a guard refused: by an interrupt of the LangGraph run that it happened in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context

from guardrails_plugin.types import GuardResult

__all__ = ["approved", "is_approval"]

_GRAPH = "__pregel_scratchpad"
"""What LangGraph puts into the configurable values of whatever runs in a graph."""


def approved(result: GuardResult, config: RunnableConfig) -> bool:
    """Whether a person lets a refused content pass. Outside of a graph nobody can be asked: no.

    The first call interrupts the graph (and so does not return) with stage, reasons and id; when the graph is resumed,
    the node runs again and this gives the answer: ``"approve"`` (or ``{"type": "approve"}``), anything else rejects.
    """
    if "langgraph" not in sys.modules or _GRAPH not in config.get("configurable", {}):
        return False
    # Deferred: only what runs in a graph needs it.
    from langgraph.types import interrupt

    asked = {"review": "content", "stage": result.stage.value, "reasons": list(result.reasons), "id": result.id}
    with set_config_context(config) as context:
        return is_approval(context.run(interrupt, asked))


def is_approval(answer: Any) -> bool:
    """Whether a reviewer's answer lets it pass."""
    return (answer.get("type") if isinstance(answer, Mapping) else answer) == "approve"
