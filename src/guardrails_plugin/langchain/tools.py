"""Tools behind guards: arguments, results and artifacts, and what tools say about themselves."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from types import new_class
from typing import Any, Literal, get_args

from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, Tool, ToolException
from langchain_core.tools import tool as as_tool
from langchain_core.utils.pydantic import get_fields
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator
from pydantic.v1 import ValidationError as ValidationErrorV1

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.errors import ConfigError, ContentError, GuardBlocked, unknown_name
from guardrails_plugin.invalid_arguments import explained, field_names, without_values
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.encrypted import carry
from guardrails_plugin.langchain.failures import guarded_failure
from guardrails_plugin.langchain.tool_gate import ToolGate
from guardrails_plugin.tool_catalog import ToolPins, check_tools
from guardrails_plugin.types import Origin, Stage

__all__ = ["GuardedTool", "guard_tools"]


class GuardedTool(BaseTool):
    """A tool that gets guarded arguments and gives guarded results; made by `guard_tools`.

    Name, description, schema, injected arguments, response format and return_direct are the inner tool's. What is
    refused comes back as an error that ToolNode hands to the model. An exception of the tool leaves it guarded, too,
    with its type. Tracers are told the arguments as they came in.

    Attributes:
        inner: the tool.
        gate: what calls and results pass through.
        parameters: the schema that models are told, where something in the tool's own had to be replaced.
    """

    inner: BaseTool
    gate: ToolGate = Field(exclude=True, repr=False)
    parameters: dict[str, Any] | None = None
    # A method of the tool itself: its repr would be the tool's, without end.
    handle_tool_error: bool | str | Callable[[ToolException], str] | None = Field(
        default=None, exclude=True, repr=False
    )

    _tokens: list[str] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _handling(self) -> GuardedTool:
        self.handle_tool_error = self._told  # pyright: ignore[reportIncompatibleVariableOverride]
        return self

    @classmethod
    def around(cls, tool: BaseTool, pre: StageCheck | None, post: StageCheck | None, *, raises: bool) -> GuardedTool:
        """The tool behind the checks."""
        own = "name description return_direct response_format tags metadata handle_validation_error extras"
        fields = {name: getattr(tool, name) for name in own.split() if name in BaseTool.model_fields}
        gate = ToolGate(pre, post, on_block="raise" if raises else "refuse")
        return cls(inner=tool, gate=gate, args_schema=_args_schema(tool), **fields)

    @property
    def tool_call_schema(self) -> Any:
        return super().tool_call_schema if self.parameters is None else self.parameters

    def describe(self, check: StageCheck | None) -> None:
        """Tell models only the guarded definition; the name and every string of the schema are judged with it.

        Raises:
            GuardBlocked: it was refused.
        """
        if check is None:
            return
        given = _definition(self.inner)
        clean = check(given, origin=Origin.EXTERNAL).value
        self.description = str(clean["description"])
        if clean["parameters"] != given["parameters"]:
            self.parameters = clean["parameters"]
            # Some models are told the schema of all arguments, injected ones included.
            self.args_schema = _cleaned(self.args_schema, given["parameters"], clean["parameters"])

    def for_one_call(self) -> GuardedTool:
        """A copy that remembers the tokens of what was encrypted in its result."""
        copied = self.model_copy()
        copied._tokens = []  # noqa: SLF001 - its own class
        return copied

    def carried(self, message: ToolMessage) -> ToolMessage:
        """The message made of the result, with those tokens."""
        for token in self._tokens or ():
            message = carry(message, token)
        return message

    @cached_property
    def _injected(self) -> frozenset[str]:
        """Arguments that the application gives; models may give others than those that the schema names."""
        shown: Any = self.inner.tool_call_schema
        if isinstance(shown, dict):
            return self._injected_args_keys
        return self._injected_args_keys | (get_fields(self.inner.get_input_schema()).keys() - get_fields(shown).keys())

    @cached_property
    def _injected_args_keys(self) -> frozenset[str]:
        return self.inner._injected_args_keys  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    @cached_property
    def _fields(self) -> frozenset[str]:
        return field_names(_schema(self.inner)) | self._injected

    def _to_args_and_kwargs(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:
        try:
            return self.inner._to_args_and_kwargs(tool_input, tool_call_id)  # noqa: SLF001
        except (ValidationError, ValidationErrorV1) as error:
            invalid = without_values(error, self._fields)
        models = [one for one in invalid.errors() if not one["loc"] or one["loc"][0] not in self._injected]
        if tool_call_id is None or self.handle_validation_error or not models:
            raise invalid
        # A ToolNode would tell the model with the call's arguments.
        raise _Refused(explained(invalid))

    def _run(self, *args: Any, config: RunnableConfig, run_manager: Any = None, **kwargs: Any) -> Any:
        run = self.inner._run  # noqa: SLF001
        given, named = self._admitted(args, kwargs)
        try:
            result = run(*given, **named, **_wanted(run, config, run_manager))
        except Exception as error:  # noqa: BLE001 - raised outside, where the new one does not hold it as context
            raised = error
        else:
            return self._released(result)
        raise guarded_failure(raised, self.gate, self.name)

    async def _arun(self, *args: Any, config: RunnableConfig, run_manager: Any = None, **kwargs: Any) -> Any:
        given, named = await asyncio.to_thread(self._admitted, args, kwargs)
        run = self.inner._arun  # noqa: SLF001
        if type(self.inner)._arun is BaseTool._arun or getattr(self.inner, "coroutine", run) is None:  # noqa: SLF001
            sync = run_manager.get_sync() if run_manager is not None else None
            return await asyncio.to_thread(self._run, *given, config=config, run_manager=sync, **named)
        try:
            result = await run(*given, **named, **_wanted(run, config, run_manager))
        except Exception as error:  # noqa: BLE001 - as in `_run`
            raised = error
        else:
            return await asyncio.to_thread(self._released, result)
        raise await asyncio.to_thread(guarded_failure, raised, self.gate, self.name)

    def _admitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with those guarded that the model gave; injected ones are the application's."""
        own: dict[Any, Any] = {name: value for name, value in kwargs.items() if name not in self._injected}
        # Positional ones by their number, which no parameter can be called.
        own |= enumerate(args)
        try:
            call = self.gate.admit({"name": self.name, "args": own, "id": None})
        except GuardBlocked as blocked:
            raise _Refused(self.gate.refuse({"name": self.name, "args": {}, "id": ""}, blocked).content) from None
        except ContentError as error:
            raise _Refused(f"The tool call was left out: {error}") from None
        guarded: dict[Any, Any] = dict(call["args"])
        given = tuple(guarded.pop(place) for place in range(len(args)))
        # In their order; a name that is data may have been changed, too.
        named = {**kwargs, **guarded}
        return given, {name: value for name, value in named.items() if name in self._injected or name in guarded}

    def _released(self, result: Any) -> Any:
        call: Any = {"name": self.name, "args": {}, "id": ""}
        try:
            if self.response_format == "content_and_artifact" and isinstance(result, tuple) and len(result) == 2:
                return self._text(result[0]), self._artifact(result[1])
            return self._text(result)
        except GuardBlocked as blocked:
            raise _Refused(self.gate.refuse(call, blocked).content) from None

    def _text(self, value: Any) -> Any:
        """The guarded result; one that cannot be read is guarded as the text that LangChain would make of it."""
        try:
            return self._guarded(value)
        except ContentError:
            if _is_output(value):
                raise _Refused("The tool's result was left out: it cannot be guarded.") from None
            return self._guarded(_stringified(value))

    def _artifact(self, value: Any) -> Any:
        try:
            return self._guarded(value)
        except ContentError:
            return None

    def _guarded(self, value: Any) -> Any:
        if self.gate.post is None or _is_output(value):
            return self.gate.guarded(value)
        checked = self.gate.post(value)
        if self._tokens is not None and checked.result.fpe_context is not None:
            self._tokens.append(checked.result.fpe_context)
        return checked.value

    def _told(self, error: ToolException) -> str:
        """What an error says to the model: our refusals as they are, the inner tool's by its own rule, guarded."""
        if isinstance(error, _Refused):
            return str(error)
        rule = self.inner.handle_tool_error
        if not rule:
            raise error
        said = (
            rule if isinstance(rule, str) else rule(error) if callable(rule) else str(error) or "Tool execution error"
        )
        try:
            return str(self.gate.guarded(said))
        except GuardBlocked as blocked:
            return str(self.gate.refuse({"name": self.name, "args": {}, "id": ""}, blocked).content)


class _Refused(ToolException):
    """A refusal on its way to the model."""


OnBlock = Literal["raise", "refuse"]
OnPoisoned = Literal["raise", "drop"]


def guard_tools(
    tools: Sequence[BaseTool | Callable[..., Any]],
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    pre_tool: Option = True,
    post_tool: Option = True,
    on_block: OnBlock = "refuse",
    on_poisoned: OnPoisoned = "raise",
    pins: ToolPins | None = None,
    server: str = "",
) -> list[BaseTool]:
    """The tools behind guards, with names, descriptions and schemas guarded like anything else from outside.

    A tool does not know the conversation it is called in: those that are to get back what was encrypted there are
    guarded by `GuardMiddleware` or `tool_node_wrappers`, with ``trusted_tools``.

    Args:
        tools: tools, or functions to make tools of.
        engine: of the stages without a guard of their own.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        pre_tool: guard for the arguments; True for the stage's recipe, False for none.
        post_tool: guard for results, artifacts and the tools' definitions; likewise.
        on_block: ``refuse`` tells the model, ``raise`` raises GuardBlocked out of the tool.
        on_poisoned: what happens to a tool whose definition is refused: ``raise`` GuardBlocked, or ``drop`` it.
        pins: what the definitions were: one that changed, shadows another or steers the model is refused as well, see
            `tool_catalog.check_tools`. For tools of others (MCP servers); without it no change is noticed.
        server: whose tools these are; pins are kept by server and name.

    Raises:
        GuardBlocked: a definition was refused.
        ConfigError: something else than tools, or a choice that there is not.
    """
    known = _tools(tools)
    _check_choice("on_block", on_block, get_args(OnBlock))
    _check_choice("on_poisoned", on_poisoned, get_args(OnPoisoned))
    policies = StagePolicies(engine, recipes, overrides)
    pre, post = policies.at(pre_tool, Stage.PRE_TOOL), policies.at(post_tool, Stage.POST_TOOL)
    offered = {server: [_definition(tool) for tool in known]} if pins is not None else {}
    reports = check_tools(offered, engine=engine or default_engine(), pins=pins)
    kept: list[BaseTool] = []
    for tool, report in zip_longest(known, reports):
        guarded = GuardedTool.around(tool, pre, post, raises=on_block == "raise")
        try:
            if report is not None:
                report.raise_for_block()
            guarded.describe(post)
        except GuardBlocked:
            if on_poisoned == "raise":
                raise
            continue
        kept.append(guarded)
    return kept


def _tools(tools: object) -> list[BaseTool]:
    if not isinstance(tools, Sequence) or isinstance(tools, str):
        raise ConfigError(f"guard_tools: expected a list of tools or functions, got {type(tools).__name__}")
    for one in tools:
        if not isinstance(one, BaseTool) and not callable(one):
            raise ConfigError(f"guard_tools: expected tools or functions in the list, got {type(one).__name__}")
    return [one if isinstance(one, BaseTool) else as_tool(one) for one in tools]


def _check_choice(name: str, given: object, valid: Sequence[str]) -> None:
    if given not in valid:
        raise unknown_name(name, given, valid, "guard_tools")


def _definition(tool: BaseTool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": _schema(tool)}


def _schema(tool: BaseTool) -> dict[str, Any]:
    schema: Any = tool.tool_call_schema
    if isinstance(schema, dict):
        return schema
    made: dict[str, Any] = schema.model_json_schema() if issubclass(schema, BaseModel) else schema.schema()
    return made


def _args_schema(tool: BaseTool) -> Any:
    """The schema of a tool's arguments, which our own methods' signatures would not tell."""
    if tool.args_schema is not None:
        return tool.args_schema
    if isinstance(tool, Tool):
        # LangChain's own name for the one argument of a tool without a schema.
        one = {"title": "__arg1", "type": "string"}
        return {"title": tool.name, "type": "object", "properties": {"__arg1": one}, "required": ["__arg1"]}
    return tool.get_input_schema()


def _cleaned(schema: Any, given: Any, clean: Any) -> Any:
    """The schema with those strings replaced that were; a class stays one, since injected arguments are found by it."""
    strings = dict(_changes(given, clean))
    if not isinstance(schema, type) or not issubclass(schema, BaseModel):
        return _replaced(schema, strings) if isinstance(schema, dict) else clean

    def model_json_schema(_: type[BaseModel], *args: Any, **kwargs: Any) -> Any:
        return _replaced(schema.model_json_schema(*args, **kwargs), strings)

    own = {"__module__": schema.__module__, "__doc__": None, "model_json_schema": classmethod(model_json_schema)}
    return new_class(schema.__name__, (schema,), exec_body=lambda namespace: namespace.update(own))


def _changes(given: Any, clean: Any) -> Iterator[tuple[str, str]]:
    if isinstance(given, str):
        yield given, clean
    elif isinstance(given, Mapping):
        for (name, value), (own_name, own) in zip(given.items(), clean.items(), strict=True):
            yield name, own_name
            yield from _changes(value, own)
    elif isinstance(given, list):
        for value, own in zip(given, clean, strict=True):
            yield from _changes(value, own)


def _replaced(value: Any, strings: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return strings.get(value, value)
    if isinstance(value, Mapping):
        return {strings.get(name, name): _replaced(own, strings) for name, own in value.items()}
    return [_replaced(own, strings) for own in value] if isinstance(value, list) else value


def _is_output(value: Any) -> bool:
    """Whether LangChain hands it on as it is: messages and Commands, alone or in a list."""
    return isinstance(value, ToolOutputMixin) or (
        isinstance(value, list) and any(isinstance(one, ToolOutputMixin) for one in value)
    )


def _wanted(run: Callable[..., Any], config: RunnableConfig, run_manager: Any) -> dict[str, Any]:
    """Of what LangChain offers a tool, what this one takes."""
    names = inspect.signature(run).parameters
    offered = {"config": config, "run_manager": run_manager}
    return {name: value for name, value in offered.items() if name in names}


def _stringified(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
