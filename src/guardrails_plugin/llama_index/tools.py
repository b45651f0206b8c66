"""`guard_tools`: tools whose arguments and results are guarded, and whose descriptions were."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import Any, Literal, cast

from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolMetadata, ToolOutput

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, GuardBlocked, unknown_name
from guardrails_plugin.invalid_arguments import field_names
from guardrails_plugin.llama_index.arguments import require_tools
from guardrails_plugin.llama_index.guarding import Guarding, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.outputs import (
    failure,
    guarded_output,
    guarded_value,
    must_pass,
    refused_output,
    told,
)
from guardrails_plugin.llama_index.provenance import said_here
from guardrails_plugin.llama_index.tool_calls import REASONS, is_blocked
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.tool_catalog import ToolPins, check_tools
from guardrails_plugin.tool_refusals import reasons_in, tool_refusal
from guardrails_plugin.types import Context, Stage

__all__ = ["Descriptions", "GuardedFunctionTool", "GuardedTool", "ToolGuard", "guard_tools", "guarded_tool"]

Descriptions = Literal["check", "trust"]

Trusted = Mapping[str, Container[str]]
"""Names of tools, and the entity types whose encrypted values they get back."""


def guard_tools(
    tools: Sequence[BaseTool | Callable[..., Any]],
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    trusted_tools: Trusted | None = None,
    descriptions: Descriptions = "check",
    pins: ToolPins | None = None,
    server: str = "",
    refusal: str = "",
) -> list[AsyncBaseTool]:
    """The tools, guarded: arguments at pre_tool, results (content, raw output, exceptions) at post_tool.

    A block is a text the model reads, never an exception: agents would hand that to the model too. To end a run,
    let `guard_llm` raise. Descriptions and parameters are read once, here, since a model follows them like a prompt.

    Args:
        tools: tools or plain functions. Functions that take a ``Context`` still get it. Those guarded alike stay as
            they are; those guarded otherwise get this guard round their own.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``pre_tool``, ``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every call.
        vault: the conversation's; its guards' encrypted values are turned back for `trusted_tools`.
        trusted_tools: which tools get which entity types as they were. Events and results keep the encrypted ones.
        descriptions: ``check`` them, as those of foreign tools (MCP servers, registries) should be; ``trust`` what is
            in your own code: orders to the model ("always ask before you call this") can look injected.
        pins: what the definitions were: one that changed, shadows another or steers the model is refused as well, see
            `tool_catalog.check_tools`. For tools of others (MCP servers); without it no change is noticed.
        server: whose tools these are; pins are kept by server and name.
        refusal: what the model reads in place of a blocked call or result; by default which of the two was blocked,
            and why.

    Raises:
        GuardBlocked: a tool's description carries instructions to the model, or its definition was refused.
        ConfigError: no list of tools; a trusted tool that does not exist, or trusted tools without a vault.
    """
    if descriptions not in {"check", "trust"}:
        raise unknown_name("descriptions", descriptions, ["check", "trust"])
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block="refuse", refusal=refusal
    )
    known = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in require_tools(tools)]
    _check_trust(trusted_tools, [tool.metadata.get_name() for tool in known], policy)
    if pins is not None:
        for report in check_tools(
            {server: [_definition(tool.metadata) for tool in known]}, engine=policy.engine, pins=pins
        ):
            report.raise_for_block()
    return [_guarded(tool, policy, trusted_tools or {}, descriptions) for tool in known]


def _check_trust(trusted: Trusted | None, names: Sequence[str], policy: Guarding) -> None:
    if trusted and policy.vault is None:
        raise ConfigError("trusted_tools needs the vault that the other guards of the conversation share")
    for name in trusted or {}:
        if name not in names:
            raise unknown_name("tool", name, names, "trusted_tools")
    require_types(trusted or {}, policy)


def require_types(trusted: Trusted, policy: Guarding) -> None:
    """Nothing, when a tool can be trusted with each of these.

    Raises:
        ConfigError: no collection of names, or one that is no entity type of this policy.
    """
    for name, types in trusted.items():
        where = f"trusted_tools[{name!r}]"
        if isinstance(types, str) or not isinstance(types, Iterable):
            given = type(types).__name__
            raise ConfigError(f"{where}: expected a collection of entity types, such as {{'US_SSN'}}, got {given}")
        policy.require_types(types, where)


def _guarded(tool: BaseTool, policy: Guarding, trusted: Trusted, descriptions: Descriptions) -> AsyncBaseTool:
    types = trusted.get(tool.metadata.get_name(), ())
    if isinstance(tool, (GuardedTool, GuardedFunctionTool)):
        own = tool.guard
        if types != () and (own.types, own.policy.vault) != (types, policy.vault):
            raise ConfigError(
                f"trusted_tools: tool {own.name[:64]!r} is guarded already, by a guard that does not trust it; give "
                "trusted_tools and vault to the guard_tools that made it, or hand in the tool itself"
            )
        if own.policy == policy:
            return tool
        types = ()  # its own guard turns values back, behind this one
    metadata = _metadata(tool.metadata, policy) if descriptions == "check" else tool.metadata
    return guarded_tool(tool, policy, types=types, metadata=metadata)


def guarded_tool(
    tool: BaseTool,
    policy: Guarding,
    *,
    types: Container[str] = (),
    metadata: ToolMetadata | None = None,
    from_outside: bool = True,
) -> AsyncBaseTool:
    """The tool behind a guard with this policy; see `ToolGuard`."""
    inside = isinstance(tool, (GuardedTool, GuardedFunctionTool))
    guard = ToolGuard(
        policy,
        name=tool.metadata.get_name(),
        fields=field_names(tool.metadata.get_parameters_dict()),
        types=types,
        from_outside=from_outside,
        records=not inside,
    )
    if isinstance(tool, FunctionTool):
        return GuardedFunctionTool(tool, metadata or tool.metadata, guard)
    return GuardedTool(tool, metadata or tool.metadata, guard)


@dataclass(frozen=True, slots=True)
class _Arguments:
    """Arguments of one call: as events may show them, and as the tool gets them."""

    shown: dict[str, Any] = field(repr=False)
    args: list[Any] = field(repr=False)
    kwargs: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolGuard:
    """Guards the calls of one tool.

    Attributes:
        name: the tool's.
        fields: names of its arguments, which may be told.
        types: entity types whose encrypted values it gets back.
        own: name of the parameter that takes the workflow's context, which is no content.
        from_outside: whether what it returns counts as said by somebody outside of the conversation.
        records: whether it tells the conversation of calls and results; of two guards round a tool the inner one does.
    """

    policy: Guarding
    _: KW_ONLY
    name: str
    fields: frozenset[str] = frozenset()
    types: Container[str] = ()
    own: str | None = None
    from_outside: bool = True
    records: bool = True

    def call(self, run: Callable[..., ToolOutput], args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolOutput:
        """Run a tool."""
        arguments = self.before(args, kwargs)
        if isinstance(arguments, str):
            return refused_output(self.name, arguments)
        return self._output(self._run(run, arguments), arguments)

    async def acall(
        self, run: Callable[..., Awaitable[ToolOutput]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ToolOutput:
        """Run an async tool; the guards work on a thread."""
        arguments = await asyncio.to_thread(self.before, args, kwargs)
        if isinstance(arguments, str):
            return refused_output(self.name, arguments)
        return await asyncio.to_thread(self._output, await self._arun(run, arguments), arguments)

    def _output(self, output: ToolOutput, arguments: _Arguments) -> ToolOutput:
        guarded = guarded_output(self.policy.here(), output, arguments.shown)
        if self.records and self.from_outside and (said := said_here()) is not None:
            said.untrusted.append(guarded.content)
        return guarded

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Arguments | str:
        """The guarded arguments, or what is said in place of a blocked call."""
        if is_blocked(kwargs):
            return self.policy.refusal or tool_refusal(Stage.PRE_TOOL.value, reasons_in(kwargs.get(REASONS)))
        passed = {name: value for name, value in kwargs.items() if name == self.own}
        named = {name: value for name, value in kwargs.items() if name != self.own}
        rest = _name_beside(named)
        call = {"name": self.name, "args": {**named, rest: list(args)} if args else named}
        judged = self._judged(call)
        if isinstance(judged, str):
            return judged
        own = dict(judged)
        shown = own.pop(rest, []) if args else []
        given: Any = [shown, own]
        if self.policy.vault is not None and self.types != ():
            given = self.policy.vault.restore(given, self.types)
        return _Arguments({"args": shown, "kwargs": own}, given[0], {**given[1], **passed})

    def _judged(self, call: Mapping[str, Any]) -> Mapping[str, Any] | str:
        """The guarded arguments of a call, or its refusal."""
        said = said_here()
        if said is None or not said.admits(self.policy.judge(Stage.PRE_TOOL), call):
            checked = self.policy.here().check(Stage.PRE_TOOL, call)
            if checked.result.blocked:
                return told(self.policy, checked.result)
            call = checked.value
        if said is not None and self.records:
            said.calls.append(call)
        return cast("Mapping[str, Any]", call["args"])

    def _run(self, run: Callable[..., Any], arguments: _Arguments) -> Any:
        try:
            return run(*arguments.args, **arguments.kwargs)
        except BaseException as error:  # noqa: BLE001 - raised outside, where the new one does not hold it as context
            failed = self._failed(error)
        raise failed

    async def _arun(self, run: Callable[..., Awaitable[Any]], arguments: _Arguments) -> Any:
        try:
            return await run(*arguments.args, **arguments.kwargs)
        except BaseException as error:  # noqa: BLE001 - as in `_run`
            failed = self._failed(error)
        raise failed

    def _failed(self, error: BaseException) -> BaseException:
        return error if must_pass(error) else failure(self.policy, error, self.fields)

    def function(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """A function guarded like the tool, for what calls it directly (code agents, bridges)."""

        @functools.wraps(run)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            arguments = self.before(args, kwargs)
            if isinstance(arguments, str):
                return arguments
            return guarded_value(self.policy, self._run(run, arguments))

        return guarded

    def async_function(self, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`function` for coroutine functions."""

        @functools.wraps(run)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            arguments = await asyncio.to_thread(self.before, args, kwargs)
            if isinstance(arguments, str):
                return arguments
            return await asyncio.to_thread(guarded_value, self.policy, await self._arun(run, arguments))

        return guarded


class GuardedTool(AsyncBaseTool):
    """A guarded tool of any kind."""

    def __init__(self, tool: BaseTool, metadata: ToolMetadata, guard: ToolGuard) -> None:
        self._tool = tool
        self._metadata = metadata
        self._guard = guard

    @property
    def guard(self) -> ToolGuard:
        """Its guard."""
        return self._guard

    @property
    def metadata(self) -> ToolMetadata:
        return self._metadata

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return self._guard.call(self._tool, args, kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        run = self._tool.acall if isinstance(self._tool, AsyncBaseTool) else functools.partial(_threaded, self._tool)
        return await self._guard.acall(run, args, kwargs)


class GuardedFunctionTool(FunctionTool):
    """A guarded function. A `FunctionTool` itself: only to those do agents hand their ``Context``."""

    def __init__(self, tool: FunctionTool, metadata: ToolMetadata, guard: ToolGuard) -> None:
        self._tool = tool
        self._guard = replace(guard, own=tool.ctx_param_name)
        run = self._guard.function(tool.fn)
        super().__init__(fn=run, async_fn=self._guard.async_function(tool.async_fn), metadata=metadata)
        real = tool.real_fn
        is_async = asyncio.iscoroutinefunction(real)
        self._real_fn = self._guard.async_function(real) if is_async else self._guard.function(real)
        self.requires_context = tool.requires_context
        self.ctx_param_name = tool.ctx_param_name

    @property
    def guard(self) -> ToolGuard:
        """Its guard."""
        return self._guard

    def __call__(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return self._guard.call(self._tool.call, args, kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return await self._guard.acall(self._tool.acall, args, kwargs)


def _name_beside(named: Mapping[str, Any]) -> str:
    """A name for what is given by position, which no parameter has."""
    name = "arguments"
    while name in named:
        name += "_"
    return name


async def _threaded(tool: BaseTool, *args: Any, **kwargs: Any) -> ToolOutput:
    return await asyncio.to_thread(tool, *args, **kwargs)


@dataclass
class _CleanMetadata(ToolMetadata):
    """Metadata whose parameters were rewritten: hidden text removed, values replaced."""

    parameters: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        return self.parameters


def _definition(metadata: ToolMetadata) -> dict[str, Any]:
    parameters = metadata.get_parameters_dict()
    return {"name": metadata.get_name(), "description": metadata.description, "parameters": parameters}


def _metadata(metadata: ToolMetadata, policy: Guarding) -> ToolMetadata:
    content = [metadata.get_name(), metadata.description, metadata.get_parameters_dict()]
    checked = policy.check(Stage.POST_TOOL, content)
    if checked.result.blocked:
        result = checked.result
        reasons = tuple(f"description of tool {metadata.get_name()[:64]!r}, {reason}" for reason in result.reasons)
        raise GuardBlocked(result.stage.value, reasons, result.id, result)
    _, description, parameters = checked.value
    if [description, parameters] == content[1:]:
        return metadata
    own = {known.name: getattr(metadata, known.name) for known in fields(ToolMetadata)}
    return _CleanMetadata(**{**own, "description": description}, parameters=parameters)
