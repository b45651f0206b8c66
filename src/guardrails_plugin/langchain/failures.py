"""Exceptions of tools: LangGraph's ToolNode shows them to the model, tracers keep them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.tools import ToolException

from guardrails_plugin.errors import ContentError, GuardBlocked, GuardError
from guardrails_plugin.langchain.tool_gate import ToolGate

__all__ = ["ToolFailedError", "guarded_failure"]


_UNGUARDED = "The tool failed; what it said was left out: it cannot be guarded."


class ToolFailedError(Exception):
    """A tool failed with an exception that cannot be made anew with a guarded text; this is that text."""


def guarded_failure(error: Exception, gate: ToolGate, name: str) -> Exception:
    """The exception as it may leave a tool: itself where nothing in it is to be guarded, else one of its type.

    Handlers and retries choose by type, so the type stays. A new one has the guarded arguments and nothing else of
    the old one: no cause, no traceback, no attributes. LangGraph's control flow (interrupts) and our own
    errors pass.

    Args:
        error: what the tool raised.
        gate: what results pass through.
        name: of the tool.

    Raises:
        GuardBlocked: it was refused, and blocks raise.
    """
    if _passes(error) or gate.post is None:
        return error
    told, said = list(_told(error)), [_UNGUARDED]
    try:
        said = gate.guarded(told)
        if said == told:
            return error
        args = gate.guarded(list(error.args))
    except GuardBlocked as blocked:
        call: Any = {"name": name, "args": {}, "id": ""}
        args = said = [str(gate.refuse(call, blocked).content)]
    except ContentError:
        return _failed(error, said[0])
    return _alike(error, args, gate) or _failed(error, said[0])


def _alike(error: Exception, args: Sequence[Any], gate: ToolGate) -> Exception | None:
    """An exception of that type, unless it says more than these arguments or cannot be made of them."""
    try:
        made = type(error)(*args)
        told = list(_told(made))
        return made if gate.guarded(told) == told else None
    except Exception:  # noqa: BLE001 - a constructor of somebody else's, which may want and do anything
        return None


def _failed(error: Exception, said: str) -> Exception:
    # Tools have rules for ToolExceptions of every kind.
    return ToolException(said) if isinstance(error, ToolException) else ToolFailedError(said)


def _told(error: BaseException) -> Iterator[str]:
    """All that a handler or a traceback says of an exception."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield str(current)
        yield repr(current)
        yield from (str(note) for note in getattr(current, "__notes__", ()))
        current = current.__cause__ or current.__context__


def _passes(error: Exception) -> bool:
    """True for control flow, and for errors of ours, which hold no guarded text."""
    if isinstance(error, GuardError):
        return True
    # Without LangGraph imported none of its exceptions can be raised.
    graph: Any = sys.modules.get("langgraph.errors")
    if graph is None:
        return False
    resumed = getattr(graph, "is_invalid_resume", None)
    return isinstance(error, graph.GraphBubbleUp) or (resumed is not None and bool(resumed(error)))
