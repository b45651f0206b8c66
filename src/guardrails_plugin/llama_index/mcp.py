"""`guard_mcp_client`: one guard for all tools of an MCP server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.guarding import Guarding, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.outputs import failure, must_pass
from guardrails_plugin.tool_catalog import ToolPins, check_tools
from guardrails_plugin.types import Context, Stage

__all__ = ["GuardedMCPClient", "guard_mcp_client"]

_READS = frozenset({"read_resource", "get_prompt", "list_resources", "list_resource_templates", "list_prompts"})
"""Further methods whose results a model may read."""


def guard_mcp_client(
    client: Any,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    pins: ToolPins | None = None,
    server: str = "",
) -> GuardedMCPClient:
    """A client for ``McpToolSpec`` (or to be called by hand) whose calls are guarded.

    Arguments at pre_tool; results (content and structured content), resources and prompts at post_tool. Tools whose
    name, description or schema carries instructions to the model are not listed. A blocked call or result raises: the
    tool made of it turns that into a text, without what was blocked.

    Args:
        client: a ``BasicMCPClient``, or anything with the methods of an MCP session.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``pre_tool``, ``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every call.
        pins: what the definitions were: tools that changed since, or shadow another, are not listed either; see
            `tool_catalog.check_tools`. Without it no change is noticed.
        server: whose tools these are; pins are kept by server and name.
    """
    policy = guarding(engine, recipes=recipes, overrides=overrides, context=context, refusal="")
    return GuardedMCPClient(client, policy, pins, server)


class GuardedMCPClient:
    """What `guard_mcp_client` makes. Attributes it does not guard are the client's own."""

    def __init__(self, client: Any, policy: Guarding, pins: ToolPins | None = None, server: str = "") -> None:
        self._client = client
        self._policy = policy
        self._pins = pins
        self._server = server

    async def call_tool(self, tool_name: str, arguments: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The guarded result of a guarded call.

        Raises:
            GuardBlocked: the arguments or the result were refused.
            ToolFailedError: the call failed; the message is guarded.
        """
        call = await self._checked(Stage.PRE_TOOL, {"name": tool_name, "args": arguments or {}})
        result = await self._run("call_tool", tool_name, call["args"], **kwargs)
        return await self._checked(Stage.POST_TOOL, result)

    async def list_tools(self, *args: Any, **kwargs: Any) -> Any:
        """The tools without poisoned ones; hidden text is removed from the others."""
        listed = await self._run("list_tools", *args, **kwargs)
        kept = await asyncio.to_thread(self._clean, listed.tools)
        return listed.model_copy(update={"tools": kept})

    def __getattr__(self, name: str) -> Any:
        if name not in _READS:
            return getattr(self._client, name)

        async def read(*args: Any, **kwargs: Any) -> Any:
            return await self._checked(Stage.POST_TOOL, await self._run(name, *args, **kwargs))

        return read

    def _clean(self, tools: Sequence[Any]) -> list[Any]:
        if self._pins is not None:
            offered = {self._server: [tool.model_dump(mode="json", exclude_none=True) for tool in tools]}
            reports = check_tools(offered, engine=self._policy.engine, pins=self._pins)
            tools = [tool for tool, report in zip(tools, reports, strict=True) if not report.blocked]
        checks = self._policy.each(Stage.POST_TOOL, tools)
        return [check.value for check in checks if not check.result.blocked]

    async def _checked(self, stage: Stage, value: Any) -> Any:
        checked = await self._policy.here().acheck(stage, value)
        checked.result.raise_for_block()
        return checked.value

    async def _run(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await getattr(self._client, method)(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised outside, where the new one does not hold it as context
            failed = error if must_pass(error) else await asyncio.to_thread(failure, self._policy, error)
        raise failed
