"""MCP tool calls made through langchain-mcp-adapters: arguments, content and structured content."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from mcp.types import CallToolResult, EmbeddedResource, TextContent
from pydantic import AnyUrl, ValidationError

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ContentError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.tool_gate import ToolGate, conversation
from guardrails_plugin.types import Stage

__all__ = ["GuardMCPInterceptor"]


class GuardMCPInterceptor:
    """``MultiServerMCPClient(servers, tool_interceptors=[GuardMCPInterceptor()])``.

    What the tools say about themselves passes no interceptor: load them through `guard_tools(tools, pins=...)`. In a
    LangGraph agent a call is judged with the conversation it is made in (what the user said, what tools returned);
    outside of a graph the interceptor knows the call alone.

    Args:
        engine: of the stages without a guard of their own.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        pre_tool: guard for names and arguments; True for the stage's recipe, False for none.
        post_tool: guard for what servers return; likewise.
        on_block: ``refuse`` returns an error result, ``raise`` raises GuardBlocked.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        pre_tool: Option = True,
        post_tool: Option = True,
        on_block: Literal["raise", "refuse"] = "refuse",
    ) -> None:
        if on_block not in {"raise", "refuse"}:
            raise unknown_name("on_block", on_block, ["raise", "refuse"], type(self).__name__)
        policies = StagePolicies(engine, recipes, overrides)
        self._post = policies.at(post_tool, Stage.POST_TOOL)
        self._gate = ToolGate(policies.at(pre_tool, Stage.PRE_TOOL), self._post, on_block=on_block)

    async def __call__(
        self, request: MCPToolCallRequest, handler: Callable[[MCPToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """The guarded result of the guarded call."""
        call: Any = {"name": request.name, "args": request.args, "id": ""}
        try:
            admitted = await asyncio.to_thread(
                self._gate.admit, call, conversation(getattr(request.runtime, "state", None))
            )
            result = await handler(request.override(args=admitted["args"]))
            return await asyncio.to_thread(self._guarded, result)
        except GuardBlocked as blocked:
            return _error(str(self._gate.refuse(call, blocked).content))
        except ContentError:
            return _error("The tool's result was left out: it cannot be guarded.")

    def _guarded(self, result: Any) -> Any:
        if self._post is None or not isinstance(result, CallToolResult):
            return self._gate.guarded(result)
        return _checked(result, self._post)


def _checked(result: CallToolResult, check: StageCheck) -> CallToolResult:
    """The result with everything in it guarded together that says something; images and sounds stay as they are."""
    said = [_said(block) for block in result.content]
    beside = {"structuredContent": result.structuredContent, "meta": result.meta}
    guarded = check({"content": said, **beside}).value
    blocks = [_with(block, own) for block, own in zip(result.content, guarded["content"], strict=True)]
    return result.model_copy(update={"content": blocks, **{name: guarded[name] for name in beside}})


_PARTS = ("text", "name", "title", "description", "uri", "meta")
"""What of content blocks and resources a model or an application may read."""


def _said(part: Any) -> dict[str, Any]:
    """What a content block says, and the resource in it."""
    found = {name: value for name in _PARTS if (value := getattr(part, name, None)) is not None}
    said = {name: str(value) if isinstance(value, AnyUrl) else value for name, value in found.items()}
    return {**said, "resource": _said(part.resource)} if isinstance(part, EmbeddedResource) else said


def _with(part: Any, guarded: dict[str, Any]) -> Any:
    changed = {name: own for name, own in guarded.items() if name not in {"uri", "resource"}}
    if "uri" in guarded and guarded["uri"] != str(part.uri):
        changed["uri"] = _url(guarded["uri"])
    if isinstance(part, EmbeddedResource):
        changed["resource"] = _with(part.resource, guarded["resource"])
    return part.model_copy(update=changed)


def _url(text: str) -> AnyUrl:
    try:
        return AnyUrl(text)
    except ValidationError:
        return AnyUrl("about:blank")


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], isError=True)
