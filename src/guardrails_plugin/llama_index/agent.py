"""`guard_agent`: an agent or `AgentWorkflow` that plans on nothing unguarded, with its models and tools guarded too."""

from __future__ import annotations

import copy
from collections.abc import Container, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, BaseWorkflowAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.objects import ObjectRetriever
from llama_index.core.schema import QueryType
from llama_index.core.tools import BaseTool, FunctionTool
from llama_index.core.workflow import Context as WorkflowContext
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from workflows.handler import WorkflowHandler

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, GuardBlocked, unknown_name
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.guarding import REFUSAL, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.llm import guard_llm, in_agent
from guardrails_plugin.llama_index.provenance import opened, remember
from guardrails_plugin.llama_index.tools import Descriptions, guard_tools, guarded_tool, require_types
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["guard_agent"]

_Agent = TypeVar("_Agent", BaseWorkflowAgent, AgentWorkflow)
_TEXTS = ("user_msg", "chat_history")


def guard_agent(
    agent: _Agent,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    trusted_tools: Mapping[str, Container[str]] | None = None,
    descriptions: Descriptions = "check",
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
    restore_answer: bool = False,
) -> _Agent:
    """A copy of the agent, guarded at every stage.

    What is given to ``run`` (user message and chat history) is guarded at pre_plan before memory, context and events
    see it; every model with `guard_llm`; every tool, retrieved ones and the handoff of an `AgentWorkflow` too, with
    `guard_tools`. What is guarded alike stays as it is; what is guarded otherwise, the agent included, gets this guard
    round its own. A memory that is handed in is taken as it is: hand in a
    `guard_memory`.

    The calls in a model's message are guarded at pre_tool before events and memory see them, and again at the tool. A
    refused one has the arguments ``{"blocked_by_policy": True, "reasons": [...]}``; its tool answers with a refusal. A
    `ReActAgent` has no such calls: what it does stands in its text, and is guarded as that, and at the tool.

    Args:
        agent: a FunctionAgent, ReActAgent, agent of your own or AgentWorkflow; not changed.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage.
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every run.
        vault: the conversation's, for `trusted_tools`.
        trusted_tools: see `guard_tools`.
        descriptions: see `guard_tools`; retrieved tools are always checked.
        on_block: ``raise`` GuardBlocked from ``run`` (a model's: from the awaited handler); ``refuse`` answers.
        refusal: the answer in place of a refused one.
        restore_answer: turn the vault's encrypted values back in what the awaited handler gives; events and memory
            keep them encrypted.

    Tools are judged knowing the conversation: what the user said in it, and what came from tools (provenance).

    Raises:
        GuardBlocked: a tool's description carries instructions to the model.
        ConfigError: no agent; trusted tools that do not exist, or no vault for them or for the answer.
    """
    require("agent", agent, (BaseWorkflowAgent, AgentWorkflow), "a FunctionAgent, ReActAgent or AgentWorkflow")
    if restore_answer and vault is None:
        raise ConfigError("restore_answer needs a vault")
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block=on_block, refusal=refusal
    )
    parts = _Parts(policy, trusted_tools or {}, on_block, descriptions)
    guarded = parts.workflow(agent) if isinstance(agent, AgentWorkflow) else parts.agent(agent)
    parts.check_trust()
    return cast("_Agent", _with_door(guarded, policy, vault if restore_answer else None))


class _Parts:
    """Guards the models and tools of agents."""

    def __init__(
        self,
        policy: Guarding,
        trusted: Mapping[str, Container[str]],
        on_block: OnBlock,
        descriptions: Descriptions,
    ) -> None:
        self._descriptions: Descriptions = descriptions
        self._on_block: OnBlock = on_block
        self._trusted = trusted
        self._known: set[str] = set()
        self._retrieves = False
        self._policy = policy
        self._options: dict[str, Any] = {
            "engine": policy.engine,
            "recipes": policy.recipes,
            "overrides": policy.overrides,
            "context": policy.context,
            "vault": policy.vault,
        }

    def workflow(self, workflow: AgentWorkflow) -> AgentWorkflow:
        guarded = copy.copy(workflow)
        guarded.agents = {name: self.agent(agent) for name, agent in workflow.agents.items()}
        return guarded

    def agent(self, agent: BaseWorkflowAgent) -> BaseWorkflowAgent:
        guarded = copy.copy(agent)
        llm = guard_llm(agent.llm, on_block=self._on_block, refusal=self._policy.refusal, **self._options)
        guarded.llm = in_agent(llm, self._policy)
        if agent.tools:
            guarded.tools = list(self.tools(agent.tools, self._descriptions))
        if agent.tool_retriever is not None:
            self._retrieves = True
            guarded.tool_retriever = _GuardedToolRetriever(agent.tool_retriever, self)
        return guarded

    def tools(self, tools: Sequence[Any], descriptions: Descriptions = "check") -> Sequence[BaseTool]:
        known = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in tools]
        names = {tool.metadata.get_name() for tool in known}
        self._known |= names
        trusted = {name: types for name, types in self._trusted.items() if name in names}
        return guard_tools(known, trusted_tools=trusted, descriptions=descriptions, **self._options)

    def check_trust(self) -> None:
        if self._trusted and self._policy.vault is None:
            raise ConfigError("trusted_tools needs a vault")
        require_types(self._trusted, self._policy)
        unknown = self._trusted.keys() - self._known
        if unknown and not self._retrieves:
            raise unknown_name("tool", min(unknown), self._known, "trusted_tools")


class _GuardedToolRetriever(ObjectRetriever[Any]):
    """Retrieved tools, guarded; those with a poisoned description are left out."""

    def __init__(self, inner: ObjectRetriever[Any], parts: _Parts) -> None:
        super().__init__(inner.retriever, inner.object_node_mapping, inner.node_postprocessors)
        self._inner = inner
        self._parts = parts

    def retrieve(self, str_or_query_bundle: QueryType) -> list[Any]:
        return self._kept(self._inner.retrieve(str_or_query_bundle))

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[Any]:
        return self._kept(await self._inner.aretrieve(str_or_query_bundle))

    def _kept(self, tools: Sequence[Any]) -> list[Any]:
        kept: list[Any] = []
        for tool in tools:
            try:
                kept += self._parts.tools([tool])
            except GuardBlocked:
                continue
        return kept


class _Door:
    """Before an agent's own ``run``."""

    _doors: tuple[Guarding, ...]
    _restores: Vault | None

    def run(self, *args: Any, **kwargs: Any) -> WorkflowHandler:
        """The agent's ``run``; its texts are guarded first."""
        arguments = _named(args, kwargs)
        event: Any = arguments.get("start_event")
        given = {name: arguments.get(name) for name in _TEXTS if arguments.get(name)}
        started = {name: event.get(name) for name in _TEXTS if event.get(name)} if event else {}
        for door in self._doors:
            checked = door.check(Stage.PRE_PLAN, [given, started])
            if checked.result.blocked:
                return self._refused(door, checked.result)
            given, started = checked.value
        if started:
            arguments["start_event"] = type(event)(**{**dict(event.items()), **started})
        told = {**started, **given}
        with opened(arguments.get("ctx"), told.get("user_msg"), told.get("chat_history")) as said:
            handler = cast("WorkflowHandler", super().run(**{**arguments, **given}))  # type: ignore[misc]
        remember(handler.ctx, said)
        return cast("WorkflowHandler", RestoringHandler(handler, self._restores)) if self._restores else handler

    def _refused(self, door: Guarding, result: GuardResult) -> WorkflowHandler:
        if not door.refuses:
            result.raise_for_block()
        message = ChatMessage(role=MessageRole.ASSISTANT, content=door.refusal)
        output = AgentOutput(response=message, current_agent_name=str(getattr(self, "name", type(self).__name__)))
        return _Refused().run(output=output)


class _WorkflowDoor(_Door):
    """Before an `AgentWorkflow`, and round the tool that it gives its agents itself."""

    def _get_handoff_tool(self, current_agent: BaseWorkflowAgent) -> BaseTool | None:
        own: Any = super()
        tool = own._get_handoff_tool(current_agent)  # noqa: SLF001 - no public way
        for door in self._doors if isinstance(tool, BaseTool) else ():
            # What one agent tells the next, a model wrote: nobody outside did.
            tool = guarded_tool(tool, replace(door, refusal=""), from_outside=False)
        return cast("BaseTool | None", tool)


class RestoringHandler:
    """A run's handler whose result has its encrypted values turned back; otherwise the handler itself."""

    def __init__(self, handler: WorkflowHandler, vault: Vault) -> None:
        self._handler = handler
        self._vault = vault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        result: Any = yield from self._handler.__await__()
        if isinstance(result, AgentOutput):
            return result.model_copy(update={"response": self._vault.restore(result.response)})
        return result


class _Refused(Workflow):
    """A run that was over before it began: no memory, no model, no tools."""

    @step
    async def answer(self, ev: StartEvent) -> StopEvent:
        """The refusal."""
        return StopEvent(result=ev.get("output"))


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``run`` by name, whichever of its two signatures was meant."""
    names: tuple[str, ...] = ("user_msg", "chat_history", "memory", "ctx")
    if args and isinstance(args[0], WorkflowContext):
        names = ("ctx", "start_event")
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _with_door(agent: Any, policy: Guarding, restores: Vault | None) -> Any:
    """The agent as an instance of its own class with the door before it: agents have no hook as early as that."""
    kind: Any = type(agent)
    if not issubclass(kind, _Door):
        namespace = {"__module__": __name__, "__doc__": kind.__doc__}
        metaclass: Any = type(kind)
        door = _WorkflowDoor if issubclass(kind, AgentWorkflow) else _Door
        guarded = metaclass(f"Guarded{kind.__name__}", (door, kind), namespace)
        guarded._step_functions = dict(kind._step_functions)  # noqa: SLF001 - steps added to the class  # pyright: ignore[reportPrivateUsage]
        object.__setattr__(agent, "__class__", guarded)
    doors = tuple(door for door in getattr(agent, "_doors", ()) if door != policy)
    object.__setattr__(agent, "_doors", (policy, *doors))
    object.__setattr__(agent, "_restores", restores or getattr(agent, "_restores", None))
    return agent
