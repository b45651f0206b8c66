"""Tool calls in LangGraph: the hooks that its ToolNode, and with it an agent's middleware, calls around every tool."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
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
        one = _OneCall(self._gate, self._wrapped, self._gate.restored(admitted, messages), messages)
        result = handler(one.request(request))
        self._decided.pop(_key(call), None)
        return one.released(result, call)

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
        one = _OneCall(self._gate, self._wrapped, self._gate.restored(admitted, messages), messages)
        result = await handler(one.request(request))
        self._decided.pop(_key(call), None)
        return await asyncio.to_thread(one.released, result, call)

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


class _OneCall:
    """A call on its way to its tool, past other middleware.

    Args:
        gate: what calls and results pass through.
        known: tools behind guards, by name; kept from call to call.
        call: as it is handed on.
        messages: the conversation.
    """

    def __init__(
        self, gate: ToolGate, known: dict[str, _NodeTool], call: ToolCall, messages: Sequence[BaseMessage]
    ) -> None:
        self._gate = gate
        self._known = known
        self._call = call
        self._messages = messages
        self._tools: list[_NodeTool] = []
        self._outer: Callable[[BaseTool], BaseTool] | None = None

    def request(self, request: ToolCallRequest) -> ToolCallRequest:
        """The request with the guarded call, its tool swapped for one behind guards."""
        if isinstance(request, _Request):
            self._outer = request.behind
        given: dict[str, Any] = {field.name: getattr(request, field.name) for field in fields(ToolCallRequest)}
        given |= {"tool_call": self._call, "tool": None if request.tool is None else self._behind(request.tool)}
        return _Request(**given, behind=self._put)

    def admitted(self, call: ToolCall) -> ToolCall:
        """The call as it comes to its tool: judged anew where others have changed it on the way, a person's edit too.

        Raises:
            GuardBlocked: it was refused.
        """
        if (call["name"], call["args"]) == (self._call["name"], self._call["args"]):
            return call
        return self._gate.restored(self._gate.admit(call, self._messages), self._messages)

    def released(self, result: Any, call: ToolCall) -> Any:
        """The result, guarded unless it is just what the guarded tool gave.

        It is not when it is an error, of which messages are made behind the tool's back, or when another middleware
        between this hook and the tool has put something else in its place.
        """
        tool = next((tool for tool in self._tools if tool.gave(result)), None)
        if tool is None:
            return self._gate.release(result, call)
        return tool.carried(result) if isinstance(result, ToolMessage) else result

    def _put(self, tool: BaseTool) -> BaseTool:
        """A tool that another middleware puts in the place of this one, behind all guards that this one was behind."""
        return self._behind(tool if self._outer is None else self._outer(tool))

    def _behind(self, inner: BaseTool) -> BaseTool:
        """The tool behind guards, so that its results are guarded before callbacks and events tell them."""
        post, gives = self._gate.post, True
        if isinstance(inner, GuardedTool):
            # Its results come guarded as they would be here, or otherwise: then they are guarded when they come back.
            gives = post is not None and inner.gate.post is not None and inner.gate.post.guard == post.guard
            post = None
        known = self._known.get(inner.name)
        if known is None or known.inner is not inner:
            known = self._known[inner.name] = _NodeTool.around(inner, None, post, raises=self._gate.raises)
        own = known.for_one_call()
        own.admits(self.admitted)
        if gives:
            self._tools.append(own)
        return own


@dataclass
class _Request(ToolCallRequest):
    """A request whose tool stays behind its guards when other middleware puts another one in its place."""

    behind: Callable[[BaseTool], BaseTool] = field(kw_only=True, repr=False)

    def override(self, **overrides: Any) -> ToolCallRequest:
        given = overrides.get("tool")
        if given is not None and not isinstance(given, _NodeTool):
            overrides["tool"] = self.behind(given)
        return super().override(**overrides)


class _NodeTool(GuardedTool):
    """A guarded tool that judges calls which are not what was judged before, and knows its results again."""

    _given: list[tuple[Any, Any]] = PrivateAttr(default_factory=list)
    _admits: Callable[[ToolCall], ToolCall] | None = PrivateAttr(default=None)

    @classmethod
    def around(cls, tool: BaseTool, pre: StageCheck | None, post: StageCheck | None, *, raises: bool) -> _NodeTool:
        return cast("_NodeTool", super().around(tool, pre, post, raises=raises))

    def for_one_call(self) -> _NodeTool:
        copied = cast("_NodeTool", super().for_one_call())
        copied._given = []  # noqa: SLF001 - its own class
        return copied

    def admits(self, judge: Callable[[ToolCall], ToolCall]) -> None:
        """Ask this about the call that is made; it raises GuardBlocked for a refused one."""
        self._admits = judge

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        try:
            admitted = self._judged(input)
        except GuardBlocked as blocked:
            return self._noted(self.gate.refuse(input, blocked))
        return self._noted(super().invoke(admitted, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        try:
            admitted = await asyncio.to_thread(self._judged, input)
        except GuardBlocked as blocked:
            return self._noted(self.gate.refuse(input, blocked))
        return self._noted(await super().ainvoke(admitted, config, **kwargs))

    def gave(self, result: Any) -> bool:
        """Whether this is a result of the tool, as it gave it and no error."""
        if isinstance(result, ToolMessage) and result.status == "error":
            return False
        return any(result is given and _content(result) == content for given, content in self._given)

    def _judged(self, given: Any) -> Any:
        """The call with what the application injected, which is not judged."""
        if self._admits is None or not isinstance(given, Mapping) or given.get("type") != "tool_call":
            return given
        args = given["args"]
        own = {name: value for name, value in args.items() if name not in self._injected}
        call = self._admits({"name": given["name"], "args": own, "id": given["id"]})
        return {**given, "args": {**{name: args[name] for name in args if name in self._injected}, **call["args"]}}

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
