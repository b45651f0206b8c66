"""`GuardMiddleware`: all stages of an agent made by ``langchain.agents.create_agent``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
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

from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.errors import ConfigError, GuardBlocked
from guardrails_plugin.langchain.check import Option, check_at
from guardrails_plugin.langchain.context import run_context
from guardrails_plugin.langchain.encrypted import Encrypted, carry, tokens
from guardrails_plugin.langchain.exchange import refusal_message
from guardrails_plugin.langchain.model_call import ModelCall, ModelResult
from guardrails_plugin.langchain.tool_gate import ToolGate, provenance
from guardrails_plugin.langchain.tool_node import ToolCallHooks
from guardrails_plugin.types import Stage

__all__ = ["GuardMiddleware"]

_REMOVED = "[removed by policy]"


class GuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """Guards what an agent plans on, sends to its model, gets back, hands to tools and gets from them.

    ``create_agent(model, tools, middleware=[GuardMiddleware()])``. The model is swapped for a guarded one, so that
    token streams, events and checkpoints hold guarded replies only. The first checkpoint of a turn holds the input as
    it came in, since LangGraph writes it before any hook runs: put ``Guard("pre_plan") |`` in front of the agent where
    it must not.

    Beside other middleware, put it **first**: as the outermost it guards what the others put in place of the model, a
    prompt, an answer or a tool's result. Behind its back, wherever it stands: the tokens that other middleware streams
    from a model it asks itself, the messages in a ``Command`` that it answers with, and, of those further inside, what
    they make of a tool call's arguments. As the last it sees what others make of prompts and calls, but not what they
    answer themselves or make of answers and results.

    LangGraph asks no middleware about what tools and nodes write by ``get_stream_writer()`` (stream mode ``custom``),
    nor about state keys other than ``messages`` (those in a tool's ``Command`` are guarded, those in the input, of
    nodes and of other middleware are not): guard these where they are written, by a `Guard`.

    Args:
        engine: of the stages without a guard of their own.
        pre_plan: guard for what the model did not say in the thread; True for the stage's recipe, False for none.
            Likewise:
        llm_prompt: for all that is sent to the model.
        response: for what it answers.
        pre_tool: for tool calls, knowing what the user asked for and what came from outside.
        post_tool: for what tools return.
        on_block: ``refuse`` answers (blocked input and replies) or tells the model (blocked tool calls); ``raise``
            raises GuardBlocked, and a blocked input then stays in the thread.
        refusal: the answer in place of a refused one.
        trusted_tools: tool names and the entity types whose encrypted values they get as they were. Tracers are told
            what tools get.
        review_tools: tools whose calls wait for a person: the graph is interrupted, and goes on when it is resumed
            with ``"approve"`` (anything else rejects).
        restore_answer: turn encrypted values back in the last message of a turn, by the engine's keyring. What is
            given out is LangGraph's state, so the raw answer is in the last checkpoint, too, and in event streams and
            traces of that step; with the next turn it is encrypted again before any model sees it. Where no checkpoint
            may hold it, leave this off and restore what is given out: ``engine.unredact(message.content, token)``, with
            the tokens from ``message.response_metadata["guard"]["fpe_context"]`` of the thread's messages.

    Raises:
        ConfigError: an option that is none of the valid ones. Names of tools are not looked up: an agent's tools may
            change from call to call.
    """

    trace_policy = TracePolicy(process_inputs=omit_payload, process_outputs=omit_payload)

    def __init__(
        self,
        *,
        engine: Engine | None = None,
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
        self._plan = check_at(pre_plan, Stage.PRE_PLAN, engine)
        self._prompt = check_at(llm_prompt, Stage.LLM_PROMPT, engine)
        self._response = check_at(response, Stage.RESPONSE, engine)
        pre, post = check_at(pre_tool, Stage.PRE_TOOL, engine), check_at(post_tool, Stage.POST_TOOL, engine)
        gate = ToolGate(pre, post, on_block=on_block, trusted=trusted_tools)
        self._tools = ToolCallHooks(gate, review_tools=review_tools)
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
        """What did not come from the model guarded; a refused message is taken out of the thread and ends the turn."""
        messages: list[BaseMessage] = state["messages"]
        restored = [_encrypted_again(one) for one in messages if _WAS in one.response_metadata.get("guard", {})]
        if self._plan is None:
            return {"messages": restored} if restored else None
        known = Encrypted(self._plan.engine, tokens(messages), self._plan.tenant)
        given = _given(messages)
        checks = self._plan.each([known.hide(message) for message in given], provenance(messages))
        changed: list[BaseMessage] = restored
        blocked: GuardBlocked | None = None
        for message, checked in zip(given, checks, strict=True):
            if isinstance(checked, GuardBlocked):
                blocked = checked
                changed.append(_removed(message))
                continue
            new = carry(known.show(checked.value), checked.result.fpe_context)
            if new != message:
                changed.append(new)
        if blocked is None:
            return {"messages": changed} if changed else None
        if self._on_block == "raise":
            raise blocked from None
        return {"messages": [*changed, refusal_message(self._refusal, blocked)], "jump_to": "end"}

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.before_agent, state, runtime)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> ModelResult:
        """The model behind its guards. A message that is refused on its way to it leaves the thread."""
        call = self._call()
        try:
            ready = call.ready(request)
        except GuardBlocked as blocked:
            return self._refused(request, blocked)
        return call.released(handler(ready))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> ModelResult:
        call = self._call()
        try:
            ready = await asyncio.to_thread(call.ready, request)
        except GuardBlocked as blocked:
            return await asyncio.to_thread(self._refused, request, blocked)
        return await asyncio.to_thread(call.released, await handler(ready))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """The call guarded, reviewed where that is asked for, run, and its result guarded."""
        return self._tools.wrap_tool_call(request, handler)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        return await self._tools.awrap_tool_call(request, handler)

    def after_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """The last answer with its encrypted values turned back, where that is asked for."""
        messages: list[BaseMessage] = state["messages"]
        if not self._restore or not messages or not isinstance(messages[-1], AIMessage):
            return None
        last = messages[-1]
        tenant = run_context(tenant=self._tenant).tenant
        content = Encrypted(self._engine, tokens(messages), tenant).restore(last.content)
        return {"messages": [_restored(last, content)]} if content != last.content else None

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.after_agent, state, runtime)

    def _call(self) -> ModelCall:
        return ModelCall(self._prompt, self._response, on_block=self._on_block, refusal=self._refusal)

    def _refused(self, request: ModelRequest[Any], blocked: GuardBlocked) -> ModelResult:
        if self._on_block == "raise" or self._prompt is None:
            raise blocked from None
        thread = {message.id for message in request.state.get("messages", [])}
        # Others may have added some to the request, which are in no thread.
        own = [one for one in request.messages if one.id in thread and not isinstance(one, SystemMessage)]
        checks = self._prompt.each([message.model_copy(update=_NO_ARTIFACT.get(message.type, {})) for message in own])
        gone = [_removed(m) for m, checked in zip(own, checks, strict=True) if isinstance(checked, GuardBlocked)]
        answer = ModelResponse[Any](result=[refusal_message(self._refusal, blocked)])
        return ExtendedModelResponse(model_response=answer, command=Command(update={"messages": gone}))


_NO_ARTIFACT: Mapping[str, dict[str, Any]] = {"tool": {"artifact": None}}


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


def _given(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """All that the model did not say.

    Old turns too: a message that comes in again under its id replaces what the guard had made of it, where it stood.
    """
    return [message for message in messages if not isinstance(message, AIMessage)]


def _removed(message: BaseMessage) -> BaseMessage:
    """What stands in a refused message's place, under its id."""
    update: dict[str, Any] = {"content": _REMOVED, "additional_kwargs": {}, **_NO_ARTIFACT.get(message.type, {})}
    if isinstance(message, AIMessage):
        update["tool_calls"] = [{**call, "args": {}} for call in message.tool_calls]
    return message.model_copy(update=update)
