"""MCP tool calls made through langchain-mcp-adapters: arguments, content and structured content."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from mcp.types import CallToolResult, EmbeddedResource, ResourceLink, TextContent, TextResourceContents

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ContentError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.check import Option, StageCheck, check_at
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
        pre_tool: guard for names and arguments; True for the stage's recipe, False for none.
        post_tool: guard for what servers return; likewise.
        on_block: ``refuse`` returns an error result, ``raise`` raises GuardBlocked.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        pre_tool: Option = True,
        post_tool: Option = True,
        on_block: Literal["raise", "refuse"] = "refuse",
    ) -> None:
        if on_block not in {"raise", "refuse"}:
            raise unknown_name("on_block", on_block, ["raise", "refuse"], type(self).__name__)
        self._post = check_at(post_tool, Stage.POST_TOOL, engine)
        self._gate = ToolGate(check_at(pre_tool, Stage.PRE_TOOL, engine), self._post, on_block=on_block)

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
    """The result with its texts and its structured content guarded together; images and sounds stay as they are."""
    texts = [_strings(block) for block in result.content]
    guarded = check({"content": texts, "structuredContent": result.structuredContent}).value
    blocks = [_with(block, own) for block, own in zip(result.content, guarded["content"], strict=True)]
    return result.model_copy(update={"content": blocks, "structuredContent": guarded["structuredContent"]})


def _strings(block: Any) -> dict[str, str]:
    """The texts of a content block that a model may read."""
    if isinstance(block, EmbeddedResource):
        return {"text": block.resource.text} if isinstance(block.resource, TextResourceContents) else {}
    names = ("text",) if isinstance(block, TextContent) else ("name", "title", "description")
    if not isinstance(block, (TextContent, ResourceLink)):
        return {}
    return {name: value for name in names if isinstance(value := getattr(block, name), str)}


def _with(block: Any, strings: dict[str, str]) -> Any:
    if isinstance(block, EmbeddedResource):
        return block.model_copy(update={"resource": block.resource.model_copy(update=strings)})
    return block.model_copy(update=strings)


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], isError=True)
