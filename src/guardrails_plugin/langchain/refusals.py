"""A refusal in the type of what was refused, so that the next step of a chain can take it."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

from guardrails_plugin.langchain.metadata import refusal_metadata
from guardrails_plugin.types import GuardResult

__all__ = ["refusal_like"]

_KEPT = ("id", "name", "role", "tool_call_id")
"""What says where in a conversation a message belongs."""


def refusal_like(value: Any, refusal: str, result: GuardResult) -> Any:
    """The refusal as a string, prompt or message, like the value; None for what cannot be made up.

    Args:
        value: what was refused.
        refusal: the text in its place.
        result: why; messages are marked with it, in ``response_metadata["guard"]``; an earlier mark is kept in it.
    """
    if isinstance(value, str):
        return refusal
    if isinstance(value, StringPromptValue):
        return value.model_copy(update={"text": refusal})
    if isinstance(value, ChatPromptValue):
        mark = refusal_metadata({}, str(result.stage), result.id)
        return value.model_copy(update={"messages": [HumanMessage(refusal, response_metadata=mark)]})
    if isinstance(value, BaseMessage):
        return _message(value, refusal, refusal_metadata(value.response_metadata, str(result.stage), result.id))
    return None


def _message(message: BaseMessage, refusal: str, mark: dict[str, Any]) -> BaseMessage:
    """A new message, since everything else in the refused one is refused with it."""
    # A class of the application's own may ask for fields that nobody here can fill.
    kind = next(one for one in type(message).__mro__ if one.__module__.startswith("langchain_core.messages"))
    kept = {name: getattr(message, name) for name in _KEPT if getattr(message, name, None) is not None}
    if isinstance(message, ToolMessage):
        kept["status"] = "error"
    made: BaseMessage = kind(content=refusal, response_metadata=mark, **kept)
    return made
