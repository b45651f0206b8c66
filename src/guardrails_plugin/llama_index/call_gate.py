"""`CallGate`: what a model's tool calls pass before anybody sees them, events and memory included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools import FunctionTool

from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.llama_index.provenance import said_here
from guardrails_plugin.llama_index.tool_calls import BLOCKED_CALL, REASONS, is_blocked, with_calls
from guardrails_plugin.types import Origin, Stage

__all__ = ["CallGate", "acted", "answering", "gives_answer"]

_answer_tools: ContextVar[frozenset[str]] = ContextVar("guardrails_plugin_answer_tools", default=frozenset())


def gives_answer(tool: object) -> bool:
    """Whether a tool is one of those by which LlamaIndex has a model give a structured answer: they act on nothing."""
    return isinstance(tool, FunctionTool) and tool.fn.__module__ == get_function_tool.__module__


@contextmanager
def answering(tools: Sequence[Any]) -> Iterator[None]:
    """Models that are asked in here know which of these tools' calls are answers."""
    token = _answer_tools.set(frozenset(tool.metadata.get_name() for tool in tools if gives_answer(tool)))
    try:
        yield
    finally:
        _answer_tools.reset(token)


class CallGate:
    """The gate of one reply: calls that are answers are guarded at response, actions at pre_tool.

    Args:
        answers: the reply's policy.
        actions: the policy for what the model does; None leaves that to the tools.
        tells: whether the tool of a refused call is told so, as an agent's are; else the reply is refused.
    """

    def __init__(self, answers: Guarding, actions: Guarding | None = None, *, tells: bool = False) -> None:
        self._answers = answers
        self._actions = actions
        self._tells = tells
        self._names = _answer_tools.get()

    @property
    def holds(self) -> bool:
        """Whether it lets any call pass only when it is whole."""
        return bool(self._names) or self._actions is not None

    def passed(self, message: ChatMessage) -> ChatMessage:
        """The message with its calls as they may be seen; a refused action has `BLOCKED_CALL` for arguments.

        Raises:
            GuardBlocked: an answer was refused: no refusal has its shape; or an action that nobody is told of.
        """
        if not self.holds:
            return message
        before: list[Mapping[str, Any]] = []

        def judge(name: str, arguments: Any) -> tuple[str, Any]:
            if name in self._names:
                checked = self._answers.check(Stage.RESPONSE, arguments, origin=Origin.MODEL)
                checked.result.raise_for_block()
                return name, checked.value
            if self._actions is None:
                return name, arguments
            return name, _admitted(self._actions, name, arguments, before, raises=not self._tells)

        return with_calls(message, judge)


def _admitted(policy: Guarding, name: str, arguments: Any, before: list[Mapping[str, Any]], *, raises: bool) -> Any:
    """The arguments of an action of a reply, after those before it; its tool is told that it was judged."""
    here = policy.here()
    guarded = acted(here.within(calls=[*here.context.calls, *before]), name, arguments, raises=raises)
    call = {"name": name, "args": guarded}
    if not is_blocked(guarded):
        before.append(call)
        if (said := said_here()) is not None:
            said.admitted.append((policy.judge(Stage.PRE_TOOL), call))
    return guarded


def acted(policy: Guarding, name: str, arguments: Any, *, raises: bool = False) -> Any:
    """The arguments of an action as they may be seen; `BLOCKED_CALL` when it was refused.

    Raises:
        GuardBlocked: it was refused, and that raises.
    """
    checked = policy.check(Stage.PRE_TOOL, {"name": name, "args": arguments})
    if raises:
        checked.result.raise_for_block()
    if checked.result.blocked:
        return {**BLOCKED_CALL, REASONS: list(checked.result.reasons)}
    return checked.value["args"]
