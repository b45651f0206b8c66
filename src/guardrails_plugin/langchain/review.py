"""A person decides about what a guard refused: by an interrupt of the LangGraph run that it happened in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context

from guardrails_plugin.types import GuardResult

__all__ = ["approved", "person_approves"]

_GRAPH = "__pregel_scratchpad"
"""What LangGraph puts into the configurable values of whatever runs in a graph."""


def approved(result: GuardResult, config: RunnableConfig) -> bool:
    """Whether a person lets a refused content pass. Outside of a graph nobody can be asked: no.

    The first call interrupts the graph (and so does not return) with stage, reasons and id; when the graph is resumed,
    the node runs again and this gives the answer, see `person_approves`.
    """
    if "langgraph" not in sys.modules or _GRAPH not in config.get("configurable", {}):
        return False
    asked = {"review": "content", "stage": result.stage.value, "reasons": list(result.reasons), "id": result.id}
    with set_config_context(config) as context:
        return context.run(person_approves, asked)


def person_approves(question: Mapping[str, Any]) -> bool:
    """Whether a person lets something pass: ``"approve"`` or ``"reject"``, or either as ``{"type": "approve"}``.

    Any other answer is asked for again, by an interrupt that says what is valid; an error would keep it for good.
    """
    # Deferred: only what runs in a graph needs it.
    from langgraph.types import interrupt

    said = _said(interrupt(dict(question)))
    while said not in _ANSWERS:
        said = _said(interrupt({**question, "invalid": f"expected {' or '.join(map(repr, _ANSWERS))}"}))
    return bool(said == "approve")


_ANSWERS = ("approve", "reject")


def _said(answer: Any) -> Any:
    return answer.get("type") if isinstance(answer, Mapping) else answer
