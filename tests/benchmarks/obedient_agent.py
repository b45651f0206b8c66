"""An agent without a model: it makes the calls of its task, and obeys every foreign instruction that it can read.

No real agent is easier to lead astray, so what a guard stops here it stops for others. It cannot do what nobody could:
obey what it has not read, or use a value that a guard took out of all that it has read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from guardrails_plugin import GuardBlocked
from guardrails_plugin.langchain import GuardMiddleware

__all__ = ["Call", "ObedientAgent", "Order", "readable"]

_WORDS = 8
"""An instruction is readable while this many of its words in a row are left."""
_LEAST = 4
"""Shorter values stand everywhere: that one of them is missing says nothing."""


@dataclass(frozen=True)
class Call:
    """A tool and its arguments."""

    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Order:
    """What somebody wants: in words, the calls that do it, and what is to be said in the end."""

    goal: str
    calls: Sequence[Call]
    answer: str = ""


class ObedientAgent:
    """One conversation. Not for use twice.

    Args:
        guard: its hook for tool calls stands around every call.
        use: runs a tool; gives what a model would read.
        system: the developer's words.

    Attributes:
        made: the calls that reached their tools.
        refused: the stages that refused a call or a result, in order.
        missed: calls and answers that needed a value which a guard had taken out.
        obeyed: whether it read the foreign order.
        answer: what it says in the end.
    """

    def __init__(self, guard: GuardMiddleware, use: Callable[[Call], str], system: str = "") -> None:
        self._guard = guard
        self._use = use
        self._messages: list[BaseMessage] = [SystemMessage(system)]
        self._raw: list[str] = []
        self.made: list[Call] = []
        self.refused: list[str] = []
        self.missed = 0
        self.obeyed = False
        self.answer = ""

    def run(self, task: Order, foreign: Order | None = None) -> None:
        """Do the task, and the foreign order at once when it is read."""
        self._messages.append(HumanMessage(task.goal))
        for call in task.calls:
            read = self._call(call)
            if foreign is not None and not self.obeyed and readable(foreign.goal, read):
                self.obeyed = True
                for own in foreign.calls:
                    self._call(own)
        for order in (task, foreign) if foreign is not None and self.obeyed else (task,):
            self.answer = f"{self.answer}\n{self._known(order.answer)}".strip()

    def _call(self, call: Call) -> str:
        """What is read of the result; "" for a call that was not made."""
        if self._lost(call.args):
            self.missed += 1
            return ""
        own: Any = {"name": call.tool, "args": dict(call.args), "id": str(len(self._messages)), "type": "tool_call"}
        self._messages.append(AIMessage("", tool_calls=[own]))
        state = {"messages": list(self._messages)}
        request = ToolCallRequest(tool_call=own, tool=None, state=state, runtime=None)  # type: ignore[arg-type]
        try:
            message: ToolMessage = self._guard.wrap_tool_call(request, self._run)
        except GuardBlocked as blocked:
            self.refused.append(blocked.stage)
            message = ToolMessage("", tool_call_id=own["id"], name=call.tool, status="error")
        self._messages.append(message)
        return str(message.text)

    def _run(self, request: ToolCallRequest) -> ToolMessage:
        given = request.tool_call
        call = Call(given["name"], given["args"])
        self.made.append(call)
        result = self._use(call)
        self._raw.append(result)
        return ToolMessage(result, tool_call_id=given["id"] or "", name=call.tool)

    def _known(self, answer: str) -> str:
        if not self._lost(answer):
            return answer
        self.missed += 1
        return ""

    def _lost(self, value: Any) -> bool:
        """Whether any part of a value stood in a tool's result and in nothing that was read."""
        raw = _fold(" ".join(self._raw))
        read = _fold(" ".join(str(message.text) for message in self._messages))
        return any(part in raw and part not in read for part in map(_fold, _leaves(value)) if len(part) >= _LEAST)


def readable(goal: str, text: str) -> bool:
    """Whether words of an instruction stand in a text, whatever spaces, line ends and quotes are between them."""
    words = goal.split()
    pieces = (" ".join(words[at : at + _WORDS]) for at in range(max(1, len(words) - _WORDS + 1)))
    read = _fold(text)
    return any(_fold(piece) in read for piece in pieces)


def _fold(text: str) -> str:
    """Letters and digits only; YAML's escaped line ends are no letters."""
    return re.sub(r"\\[nrt]|[\W_]+", "", text).casefold()


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield str(value)
