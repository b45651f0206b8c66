"""Canaries, guards without the classifier, and the scripted model by a short name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from guardrails_plugin import Engine
from guardrails_plugin.langchain import Guard
from guardrails_plugin.testing.langchain import ScriptedChatModel
from tests.strategies import NO_MODEL

RAW = "536-90-4399"
SAID = f"My SSN is {RAW}, thanks."
CLEAN = "My SSN is <US_SSN>, thanks."
BLOCK: dict[str, dict[str, Any]] = {**NO_MODEL, "pii": {"sensitive": "block"}}
USAGE: Any = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}

Says = ScriptedChatModel

Reply = str | AIMessage


def guard(stage: str, engine: Engine | None = None, **fields: Any) -> Guard:
    """A guard without the slow classifier."""
    return Guard(stage, engine=engine, **{"overrides": NO_MODEL, **fields})


def calling(name: str, /, **args: Any) -> AIMessage:
    """A reply that calls a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{name}", "type": "tool_call"}])


def says(*replies: Reply | Callable[[list[BaseMessage]], Reply], kind: type[Says] = Says, **fields: Any) -> Says:
    """A model that gives these replies in turn, the last one for ever."""
    return kind(replies=list(replies), **fields)


def outputs(messages: Sequence[BaseMessage]) -> list[str]:
    """What tools returned."""
    return [str(message.content) for message in messages if isinstance(message, ToolMessage)]
