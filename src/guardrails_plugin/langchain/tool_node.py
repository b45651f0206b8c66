"""Tool calls in LangGraph: the hooks that its ToolNode, and with it an agent's middleware, calls around every tool."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal, cast

from langchain_core.messages import BaseMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest
from pydantic import PrivateAttr

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.reply_calls import ReplyCalls, blocked_call
from guardrails_plugin.langchain.review import person_approves
from guardrails_plugin.langchain.tool_gate import ToolGate, conversation, names
from guardrails_plugin.langchain.tools import GuardedTool
from guardrails_plugin.types import Stage

__all__ = ["ToolCallHooks", "tool_node_wrappers"]

_DECIDED = 10_000
"""Calls that are remembered until they are run; the oldest are decided again when there are more."""


class ToolCallHooks:
    """Guards calls and results, and interrupts for those that a person reviews.

    Only `GuardBlocked` is caught: interrupts, other control flow and the tools' own errors pass.

    Args:
        gate: what they pass through.
        review_tools: tools whose calls wait for a person.
    """

    def __init__(self, gate: ToolGate, *, review_tools: Collection[str] = ()) -> None:
        self._gate = gate
        self._review = names(review_tools, "review_tools", "tool names, such as {'send'}")
        self._wrapped: dict[str, _NodeTool] = {}
        self._decided: dict[tuple[str, str | None], tuple[ToolCall, ToolCall | GuardBlocked]] = {}

    def of_reply(self, thread: Sequence[BaseMessage]) -> ReplyCalls:
        """What judges the calls of a model's reply; they are not judged again when they come to their tools.

        Args:
            thread: the conversation so far.
        """
        return ReplyCalls(self._gate, thread=thread, decided=lambda call, why: self._decide(call, why or call))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """The result of the call, or an error message in its place."""
        call, messages = request.tool_call, conversation(request.state)
        try:
            admitted = self._admitted(call, messages)
        except GuardBlocked as blocked:
            return self._gate.refuse(call, blocked)
        if not self._approved(call, admitted):
            return self._gate.reject(call)
        own, tool = self._behind(request, self._gate.restored(admitted, messages))
        result = handler(own)
        self._decided.pop(_key(call), None)
        return self._released(result, call, tool)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """`wrap_tool_call` without blocking the event loop."""
        call, messages = request.tool_call, conversation(request.state)
        try:
            admitted = await asyncio.to_thread(self._admitted, call, messages)
        except GuardBlocked as blocked:
            return self._gate.refuse(call, blocked)
        if not self._approved(call, admitted):
            return self._gate.reject(call)
        own, tool = self._behind(request, self._gate.restored(admitted, messages))
        result = await handler(own)
        self._decided.pop(_key(call), None)
        return await asyncio.to_thread(self._released, result, call, tool)

    def _behind(self, request: ToolCallRequest, call: ToolCall) -> tuple[ToolCallRequest, _NodeTool | None]:
        """The request with its tool swapped for one whose result is guarded before callbacks and events tell it."""
        inner, post = request.tool, self._gate.post
        if inner is None or post is None:
            return request.override(tool_call=call), None
        if isinstance(inner, GuardedTool):
            if inner.gate.post is None or inner.gate.post.guard != post.guard:
                return request.override(tool_call=call), None
            # Its results come guarded as they would be here.
            post = None
        known = self._wrapped.get(inner.name)
        if known is None or known.inner is not inner:
            known = self._wrapped[inner.name] = _NodeTool.around(inner, None, post, raises=self._gate.raises)
        tool = known.for_one_call()
        return request.override(tool_call=call, tool=tool), tool

    def _released(self, result: Any, call: ToolCall, tool: _NodeTool | None) -> Any:
        """The result, guarded unless it is just what the guarded tool gave.

        It is not when it is an error, of which messages are made behind the tool's back, or when another middleware
        between this hook and the tool has put something else in its place.
        """
        if tool is None or not tool.gave(result):
            return self._gate.release(result, call)
        return tool.carried(result) if isinstance(result, ToolMessage) else result

    def _admitted(self, call: ToolCall, messages: Sequence[BaseMessage]) -> ToolCall:
        """The guarded call. It was decided when the model made it, or when a person was first asked.

        Raises:
            GuardBlocked: it was refused.
        """
        given, decided = self._decided.get(_key(call), (None, None))
        if given != call or decided is None:
            decided = blocked_call(call, messages) or self._gate.admit(call, messages)
        if isinstance(decided, GuardBlocked):
            raise copy.copy(decided)
        return decided

    def _approved(self, call: ToolCall, admitted: ToolCall) -> bool:
        if call["name"] not in self._review:
            return True
        self._decide(call, admitted)
        return person_approves({"review": "tool_call", **{name: admitted.get(name) for name in ("name", "args", "id")}})

    def _decide(self, call: ToolCall, decided: ToolCall | GuardBlocked) -> None:
        if len(self._decided) >= _DECIDED:
            self._decided.pop(next(iter(self._decided)), None)
        self._decided[_key(call)] = (call, decided)


class _NodeTool(GuardedTool):
    """A guarded tool that knows its results again."""

    _given: list[tuple[Any, Any]] = PrivateAttr(default_factory=list)

    @classmethod
    def around(cls, tool: BaseTool, pre: StageCheck | None, post: StageCheck | None, *, raises: bool) -> _NodeTool:
        return cast("_NodeTool", super().around(tool, pre, post, raises=raises))

    def for_one_call(self) -> _NodeTool:
        copied = cast("_NodeTool", super().for_one_call())
        copied._given = []  # noqa: SLF001 - its own class
        return copied

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._noted(super().invoke(input, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._noted(await super().ainvoke(input, config, **kwargs))

    def gave(self, result: Any) -> bool:
        """Whether this is a result of the tool, as it gave it and no error."""
        if isinstance(result, ToolMessage) and result.status == "error":
            return False
        return any(result is given and _content(result) == content for given, content in self._given)

    def _noted(self, result: Any) -> Any:
        self._given.append((result, copy.deepcopy(_content(result))))
        return result


def tool_node_wrappers(
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    pre_tool: Option = True,
    post_tool: Option = True,
    on_block: Literal["raise", "refuse"] = "refuse",
    trusted_tools: Mapping[str, Collection[str]] | None = None,
    review_tools: Collection[str] = (),
) -> dict[str, Any]:
    """The hooks for a ToolNode of one's own graph: ``ToolNode(tools, **tool_node_wrappers())``.

    The arguments are those of `GuardMiddleware`.
    """
    policies = StagePolicies(engine, recipes, overrides)
    pre, post = policies.at(pre_tool, Stage.PRE_TOOL), policies.at(post_tool, Stage.POST_TOOL)
    hooks = ToolCallHooks(ToolGate(pre, post, on_block=on_block, trusted=trusted_tools), review_tools=review_tools)
    return {"wrap_tool_call": hooks.wrap_tool_call, "awrap_tool_call": hooks.awrap_tool_call}


def _content(result: Any) -> Any:
    """What of a result another middleware may have changed in place."""
    return result.content if isinstance(result, ToolMessage) else None


def _key(call: ToolCall) -> tuple[str, str | None]:
    thread = ensure_config().get("configurable", {}).get("thread_id", "")
    return str(thread), call["id"]
