"""What a tool asks a person by LangGraph's ``interrupt(value)``: guarded like its result, before the graph keeps it."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from guardrails_plugin.errors import ContentError, GuardBlocked
from guardrails_plugin.langchain.tool_gate import ToolGate

__all__ = ["guarded_interrupt"]

_UNGUARDED = "What the tool asks was left out: it cannot be guarded."


def guarded_interrupt(error: Exception, gate: ToolGate, name: str) -> Exception | None:
    """The interrupt with guarded values under its own ids, so that it is resumed as it would be; None for no interrupt.

    Args:
        error: what the tool raised.
        gate: what its results pass through.
        name: of the tool.

    Raises:
        GuardBlocked: a value was refused, and blocks raise.
    """
    # Without LangGraph imported none of its exceptions can be raised.
    graph: Any = sys.modules.get("langgraph.errors")
    if graph is None or not isinstance(error, graph.GraphInterrupt):
        return None
    asked = error.args[0] if error.args else ()
    own = tuple(dataclasses.replace(one, value=_guarded(one.value, gate, name)) for one in asked)
    same = [one.value for one in own] == [one.value for one in asked]
    made: Exception = error if same else graph.GraphInterrupt(own)
    return made


def _guarded(value: Any, gate: ToolGate, name: str) -> Any:
    try:
        return gate.guarded(value)
    except GuardBlocked as blocked:
        return str(gate.refuse({"name": name, "args": {}, "id": ""}, blocked).content)
    except ContentError:
        return _UNGUARDED
