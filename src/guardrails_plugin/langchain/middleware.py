"""`GuardMiddleware`: all stages of an agent made by ``langchain.agents.create_agent``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain.agents.middleware.types import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
    TracePolicy,
    hook_config,
    omit_payload,
)
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langgraph.types import Command

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.errors import ConfigError, GuardBlocked
from guardrails_plugin.langchain.check import Option, StagePolicies
from guardrails_plugin.langchain.context import run_context
from guardrails_plugin.langchain.encrypted import Encrypted, tokens
from guardrails_plugin.langchain.exchange import refusal_message
from guardrails_plugin.langchain.model_call import ModelCall, ModelResult
from guardrails_plugin.langchain.thread_guard import NO_ARTIFACT, ThreadGuard, removed
from guardrails_plugin.langchain.tool_gate import ToolGate
from guardrails_plugin.langchain.tool_node import ToolCallHooks
from guardrails_plugin.types import Stage

__all__ = ["GuardMiddleware"]


class GuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """Guards what an agent plans on, sends to its model, gets back, hands to tools and gets from them.

    ``create_agent(model, tools, middleware=[GuardMiddleware()])``. The model is swapped for a guarded one, so that
    token streams, events and checkpoints hold guarded replies only. The first checkpoint of a turn holds the input as
    it came in, since LangGraph writes it before any hook runs: put ``Guard("pre_plan") |`` in front of the agent where
    it must not. Tool calls are judged before the reply is seen, if replies and calls are guarded: what is seen of a
    blocked one is its name and id, and it is refused when it comes to its tool.

    Beside other middleware, put it **first**: as the outermost it guards what the others put in place of the model, a
    prompt, an answer or a tool's result. A call whose arguments they, or a person, change is judged again when it comes
    to its tool. Behind its back, wherever it stands: the tokens that other middleware streams from a model it asks
    itself, and the messages in a ``Command`` that it answers with. As the last it sees what others make of prompts and
    calls, and guards what they answer themselves, or make of answers and results, in the thread only; what they add in
    an ``after_agent`` of their own comes after it.

    What others put into the thread (summaries, reviewers' words, ``update_state``) is guarded there before the model is
    next asked and when the turn ends, AI messages of the input like replies; the step that writes it shows it as it
    was.

    LangGraph asks no middleware about what tools and nodes write by ``get_stream_writer()`` (stream mode ``custom``),
    nor about state keys other than ``messages`` (those in a tool's ``Command`` are guarded, those in the input, of
    nodes and of other middleware are not): guard these where they are written, by a `Guard`.

    Args:
        engine: of the stages without a guard of their own.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        pre_plan: guard for what the model did not say in the thread; True for the stage's recipe, False for none.
            Likewise:
        llm_prompt: for all that is sent to the model.
        response: for what it answers.
        pre_tool: for tool calls, knowing what the user asked for and what came from outside.
        post_tool: for what tools return.
        on_block: ``refuse`` answers (blocked input and replies) or tells the model (blocked tool calls); ``raise``
            raises GuardBlocked, and a blocked input then stays in the thread until that goes on.
        refusal: the answer in place of a refused one.
        trusted_tools: tool names and the entity types whose encrypted values they get as they were, by the engine's
            keyring. Tracers are told what tools get.
        review_tools: tools whose calls wait for a person: the graph is interrupted, and goes on when it is resumed
            with ``"approve"`` (anything else rejects).
        restore_answer: turn encrypted values back in the last message of a turn, by the engine's keyring. What is
            given out is LangGraph's state, so the raw answer is in the last checkpoint, too, and in event streams and
            traces of that step; with the next turn it is encrypted again before any model sees it. Where no checkpoint
            may hold it, leave this off and restore what is given out: ``engine.unredact(message.content, token)``, with
            the tokens from ``message.response_metadata["guard"]["fpe_context"]`` of the thread's messages.

    Raises:
        ConfigError: an option that is none of the valid ones, trust or restored answers without a keyring. Names of
            tools are not looked up: an agent's tools may change from call to call.
    """

    trace_policy = TracePolicy(process_inputs=omit_payload, process_outputs=omit_payload)

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        pre_plan: Option = True,
        llm_prompt: Option = True,
        response: Option = True,
        pre_tool: Option = True,
        post_tool: Option = True,
        on_block: Literal["raise", "refuse"] = "refuse",
        refusal: str = "This was blocked by policy.",
        trusted_tools: Mapping[str, Collection[str]] | None = None,
        review_tools: Collection[str] = (),
        restore_answer: bool = False,
    ) -> None:
        super().__init__()
        policies = StagePolicies(engine, recipes, overrides)
        self._plan = policies.at(pre_plan, Stage.PRE_PLAN)
        self._prompt = policies.at(llm_prompt, Stage.LLM_PROMPT)
        self._response = policies.at(response, Stage.RESPONSE)
        pre, post = policies.at(pre_tool, Stage.PRE_TOOL), policies.at(post_tool, Stage.POST_TOOL)
        if trusted_tools:
            # What any stage can find may have been encrypted there.
            for check in (self._plan, self._prompt, self._response, post):
                if check is not None:
                    check.require_types((), "trusted_tools")
        gate = ToolGate(pre, post, on_block=on_block, trusted=trusted_tools)
        self._tools = ToolCallHooks(gate, review_tools=review_tools)
        self._gates_calls = pre is not None and self._response is not None
        self._thread = ThreadGuard(
            self._plan, self._response, gate if self._gates_calls else None, raises=on_block == "raise"
        )
        checks = (self._plan, self._prompt, self._response, pre, post)
        self._engine = engine or next((check.engine for check in checks if check is not None), default_engine())
        self._tenant = next((check.guard.tenant for check in checks if check is not None), "")
        self._on_block: Literal["raise", "refuse"] = on_block
        self._refusal = refusal
        self._restore = restore_answer
        if restore_answer and self._engine.keyring is None:
            raise ConfigError("restore_answer needs the keyring that encrypted: Engine(keyring=...)")

    @hook_config(can_jump_to=["end"])
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """The thread guarded; a refused message is taken out of it and ends the turn."""
        messages: list[BaseMessage] = state["messages"]
        restored = [_encrypted_again(one) for one in messages if _WAS in one.response_metadata.get("guard", {})]
        cleaned = self._thread.entered(_with(messages, restored))
        changed = list({message.id: message for message in (*restored, *cleaned.changed)}.values())
        if cleaned.blocked is None:
            return {"messages": changed} if changed else None
        if self._on_block == "raise":
            raise cleaned.blocked from None
        return {"messages": [*changed, self._refusal_of(cleaned.blocked)], "jump_to": "end"}

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.before_agent, state, runtime)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> ModelResult:
        """The model behind its guards. A message that is refused on its way to it leaves the thread."""
        turn = self._turn(request)
        if turn.answer is not None:
            return turn.answer
        return self._told(turn, handler(turn.ready))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> ModelResult:
        turn = await asyncio.to_thread(self._turn, request)
        if turn.answer is not None:
            return turn.answer
        return await asyncio.to_thread(self._told, turn, await handler(turn.ready))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """The call guarded, reviewed where that is asked for, run, and its result guarded."""
        return self._noted(self._tools.wrap_tool_call(request, handler))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        return self._noted(await self._tools.awrap_tool_call(request, handler))

    def after_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """What others answered behind this guard's back guarded, and encrypted values turned back, if that is asked."""
        thread: list[BaseMessage] = state["messages"]
        cleaned = self._thread.added(thread)
        changed = cleaned.changed
        if cleaned.blocked is not None:
            if self._on_block == "raise":
                raise cleaned.blocked from None
            changed = [*changed, self._refusal_of(cleaned.blocked)]
        messages = _with(thread, changed)
        if self._restore and cleaned.blocked is None and messages and isinstance(messages[-1], AIMessage):
            last = self._turned_back(messages)
            changed = [*(one for one in changed if one.id != last.id), last] if last != thread[-1] else changed
        return {"messages": changed} if changed else None

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.after_agent, state, runtime)

    def _turned_back(self, messages: Sequence[BaseMessage]) -> AIMessage:
        """The last answer with its encrypted values turned back."""
        last: Any = messages[-1]
        tenant = run_context(tenant=self._tenant).tenant
        content = Encrypted(self._engine, tokens(messages), tenant).restore(last.content)
        return _restored(last, content) if content != last.content else last

    def _turn(self, request: ModelRequest[Any]) -> _Turn:
        """The request guarded; what others have put into the thread is guarded there, too."""
        thread: Sequence[BaseMessage] = request.state.get("messages", [])
        cleaned = self._thread.added(thread)
        if cleaned.blocked is not None:
            if self._on_block == "raise":
                raise cleaned.blocked from None
            return _Turn(request, answer=self._refusing(cleaned.blocked, cleaned.changed))
        request = request.override(messages=_with(request.messages, cleaned.changed))
        thread = _with(thread, cleaned.changed)
        calls = self._tools.of_reply(thread) if self._gates_calls else None
        call = ModelCall(self._prompt, self._response, on_block=self._on_block, refusal=self._refusal, calls=calls)
        try:
            return _Turn(call.ready(request), call, cleaned.changed)
        except GuardBlocked as blocked:
            return _Turn(request, answer=self._refused(request, thread, blocked))

    def _told(self, turn: _Turn, answer: Any) -> ModelResult:
        """The guarded answer, with what changes in the thread."""
        released = turn.call.released(answer) if turn.call is not None else answer
        self._thread.note(_results(released))
        return _extended(released, turn.changed) if turn.changed else released

    def _noted(self, result: Any) -> Any:
        """A tool's result, known again as guarded."""
        for one in result if isinstance(result, list) else [result]:
            update = one.update if isinstance(one, Command) else {"messages": [one]}
            messages = update.get("messages", []) if isinstance(update, Mapping) else []
            self._thread.note(messages if isinstance(messages, list) else [messages])
        return result

    def _refused(self, request: ModelRequest[Any], thread: Sequence[BaseMessage], blocked: GuardBlocked) -> ModelResult:
        if self._prompt is None:
            raise blocked from None
        # Others may have added some to the request, which are in no thread.
        own = [one for one in request.messages if one.id in _ids(thread) and not isinstance(one, SystemMessage)]
        checks = self._prompt.each([message.model_copy(update=NO_ARTIFACT.get(message.type, {})) for message in own])
        gone = [m for m, checked in zip(own, checks, strict=True) if isinstance(checked, GuardBlocked)]
        if self._on_block == "raise":
            self._thread.refused(gone)
            raise blocked from None
        return self._refusing(blocked, [removed(message) for message in gone])

    def _refusing(self, blocked: GuardBlocked, changed: list[BaseMessage]) -> ModelResult:
        return _extended(ModelResponse(result=[self._refusal_of(blocked)]), changed)

    def _refusal_of(self, blocked: GuardBlocked) -> AIMessage:
        """The answer in place of a refused one, which is the application's own word."""
        refusal = refusal_message(self._refusal, blocked)
        self._thread.note([refusal])
        return refusal


@dataclass(frozen=True, slots=True)
class _Turn:
    """One call of the model: what to ask, or the answer if it is not to be asked."""

    ready: ModelRequest[Any] = field(repr=False)
    call: ModelCall | None = None
    changed: list[BaseMessage] = field(default_factory=list, repr=False)
    answer: ModelResult | None = field(default=None, repr=False)


_WAS = "encrypted"
"""Under which key of its ``guard`` metadata a restored answer keeps what it was."""


def _restored(answer: AIMessage, content: Any) -> AIMessage:
    mark = {**answer.response_metadata.get("guard", {}), _WAS: answer.content}
    metadata = {**answer.response_metadata, "guard": mark}
    return answer.model_copy(update={"content": content, "response_metadata": metadata})


def _encrypted_again(answer: BaseMessage) -> BaseMessage:
    mark = dict(answer.response_metadata["guard"])
    metadata = {**answer.response_metadata, "guard": mark}
    return answer.model_copy(update={"content": mark.pop(_WAS), "response_metadata": metadata})


def _with(messages: Sequence[BaseMessage], changed: Sequence[BaseMessage]) -> list[Any]:
    """The messages with those in place of theirs that have their ids."""
    by_id = {message.id: message for message in changed if message.id is not None}
    return [by_id.get(message.id, message) if message.id is not None else message for message in messages]


def _ids(messages: Sequence[BaseMessage]) -> set[str | None]:
    return {message.id for message in messages}


def _results(answer: ModelResult) -> list[Any]:
    if isinstance(answer, AIMessage):
        return [answer]
    return (answer.model_response if isinstance(answer, ExtendedModelResponse) else answer).result


def _extended(answer: ModelResult, changed: list[BaseMessage]) -> ModelResult:
    """The answer, and messages of the thread replaced under their ids."""
    given = answer.command.update if isinstance(answer, ExtendedModelResponse) and answer.command else None
    if isinstance(given, Mapping):
        update = {**given, "messages": [*changed, *given.get("messages", [])]}
    else:
        update = {"messages": changed}
    response = answer.model_response if isinstance(answer, ExtendedModelResponse) else answer
    response = ModelResponse(result=[response]) if isinstance(response, AIMessage) else response
    return ExtendedModelResponse(model_response=response, command=Command(update=update))
