"""`guard_llm`: a model whose prompts and answers are guarded, wherever LlamaIndex uses it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, TypeVar, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.tools.types import BaseTool
from pydantic import PrivateAttr

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.llama_index.answers import (
    ChatStream,
    CompletionStream,
    aguarded,
    chat_refusal,
    completion_refusal,
    declined,
    guarded,
)
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.call_gate import CallGate
from guardrails_plugin.llama_index.guarding import (
    REFUSAL,
    Checked,
    Guarding,
    OnBlock,
    Overrides,
    Recipes,
    guarding,
)
from guardrails_plugin.llama_index.predict import Predicting
from guardrails_plugin.llama_index.provenance import said_here, system_text
from guardrails_plugin.llama_index.structured import Calling, Structured
from guardrails_plugin.llama_index.tool_calls import CALLS
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, GuardResult, Origin, Stage

__all__ = ["GuardedFunctionCallingLLM", "GuardedLLM", "guard_llm", "in_agent"]

_Chunk = TypeVar("_Chunk")
_SETTINGS = (
    "callback_manager",
    "system_prompt",
    "messages_to_prompt",
    "completion_to_prompt",
    "output_parser",
    "pydantic_program_mode",
    "query_wrapper_prompt",
)


def guard_llm(
    llm: LLM,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    completions: Origin | str = Origin.USER,
    pre_tool: bool = False,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> LLM:
    """The model with the llm_prompt guard before it and the response guard behind it, streams included.

    It works where a model does: agents, chat and query engines, ``Settings.llm``. Messages are judged by who wrote
    them. The provider's raw objects do not come out, since they quote the answer. Tool calls that give a structured
    answer (programs, ``as_structured_llm``, ``output_cls``) are guarded like any answer; a refused one always raises.
    Other tool calls pass as the model wrote them, unless ``pre_tool=True``: guard the tools, or the agent, whose
    model's calls are guarded too. Tools given to ``predict_and_call`` are guarded as by `guard_tools`. The
    wrapped model still tells instrumentation and callback handlers its own, unguarded answers.

    Args:
        llm: a model; one that calls functions still does. One that is guarded alike comes back as it is; one that is
            guarded otherwise gets this guard round its own, which sees of its answers what that one lets pass.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``llm_prompt``, ``response``, ``pre_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every call.
        vault: where tokens of encrypted values go, for `guard_tools`.
        completions: who wrote the text given to ``complete``. What makes it of a template of its own (a
            condense_plus_context chat engine with a ``condense_prompt``, a `QueryFusionRetriever`) needs ``system``,
            or the template itself looks like an injection; LlamaIndex's own condense prompt is known.
        pre_tool: guard the tool calls in replies, too, for what runs tools without a guard of its own; a blocked call
            refuses the reply. Calls of a stream come whole, at its end.
        on_block: ``raise`` GuardBlocked, which ends an agent's run; ``refuse`` answers with `refusal`.
        refusal: the answer in place of a refused one.

    Raises:
        ConfigError: an argument is wrong.
    """
    require("llm", llm, LLM, "a LlamaIndex LLM")
    policy = guarding(
        engine,
        recipes=recipes,
        overrides=overrides,
        context=context,
        vault=vault,
        completions=completions,
        on_block=on_block,
        refusal=refusal,
    )
    actions = policy if pre_tool else None
    kind = GuardedFunctionCallingLLM if isinstance(llm, FunctionCallingLLM) else GuardedLLM
    if isinstance(llm, _Guards) and llm.guarding == policy:
        return llm if llm.judges_calls or not pre_tool else cast("LLM", llm.judging(policy))
    made: LLM = kind.around(llm, policy, actions)
    return made


class _Guards(Predicting, Structured):
    """The guarded methods. No LLM itself: LlamaIndex would record the arguments of its methods, which are raw."""

    _inner: Any
    _guarding: Guarding
    _actions: Guarding | None
    _tells: bool

    @classmethod
    def around(cls, llm: LLM, policy: Guarding, actions: Guarding | None = None, tells: bool = False) -> Any:  # noqa: FBT001, FBT002 - pickle hands them over in order
        """A wrapper with the model's own settings; ``actions`` judges its tool calls, see `CallGate`."""
        kind: Any = cls
        wrapper = kind(**{name: getattr(llm, name) for name in _SETTINGS})
        wrapper._inner, wrapper._guarding, wrapper._actions, wrapper._tells = llm, policy, actions, tells  # noqa: SLF001 - its own
        return wrapper

    @property
    def judges_calls(self) -> bool:
        """Whether tool calls in replies are guarded."""
        return self._actions is not None

    def judging(self, actions: Guarding, *, tells: bool = False) -> Any:
        """The same model with its tool calls guarded by this policy."""
        return self.around(self._inner, self._guarding, actions, tells)

    @property
    def guarding(self) -> Guarding:
        """How it guards."""
        return self._guarding

    def __reduce__(self) -> tuple[Any, ...]:
        # LlamaIndex leaves out what it cannot pickle: a wrapper without its model, or without its policy.
        return type(self).around, (self._inner, self._guarding, self._actions, self._tells)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "callback_manager" and self._inner is not None:
            # `Settings` and query engines hand theirs to the model they are given, which is not the caller's to change.
            self._inner = copy.copy(self._inner)
            self._inner.callback_manager = value

    @property
    def metadata(self) -> LLMMetadata:
        return cast("LLMMetadata", self._inner.metadata)

    def to_payload(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self._inner.to_payload())

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        prompt = self._checked(Stage.LLM_PROMPT, list(messages))
        if prompt.result.blocked:
            return self._chat_refusal(prompt.result)
        return self._answer(self._model.chat(prompt.value, **kwargs), self._reply_policy(prompt.value))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        prompt = await asyncio.to_thread(self._checked, Stage.LLM_PROMPT, list(messages))
        if prompt.result.blocked:
            return self._chat_refusal(prompt.result)
        policy = self._reply_policy(prompt.value)
        return await asyncio.to_thread(self._answer, await self._model.achat(prompt.value, **kwargs), policy)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        prompt = self._checked(Stage.LLM_PROMPT, list(messages))
        if prompt.result.blocked:
            return _once(self._chat_refusal(prompt.result))
        stream = self._chat_stream(self._reply_policy(prompt.value))
        return guarded(self._model.stream_chat(prompt.value, **kwargs), stream)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        prompt = await asyncio.to_thread(self._checked, Stage.LLM_PROMPT, list(messages))
        if prompt.result.blocked:
            return _aonce(self._chat_refusal(prompt.result))
        stream = self._chat_stream(self._reply_policy(prompt.value))
        return aguarded(await self._model.astream_chat(prompt.value, **kwargs), stream)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002
        checked = self._completed(prompt)
        if checked.result.blocked:
            return completion_refusal(self._guarding.refusal, checked.result)
        return self._completion(self._model.complete(checked.value, formatted=formatted, **kwargs))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002
        checked = await asyncio.to_thread(self._completed, prompt)
        if checked.result.blocked:
            return completion_refusal(self._guarding.refusal, checked.result)
        answer = await self._model.acomplete(checked.value, formatted=formatted, **kwargs)
        return await asyncio.to_thread(self._completion, answer)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:  # noqa: FBT001, FBT002
        checked = self._completed(prompt)
        if checked.result.blocked:
            return _once(completion_refusal(self._guarding.refusal, checked.result))
        stream = self._model.stream_complete(checked.value, formatted=formatted, **kwargs)
        return guarded(stream, CompletionStream(self._guarding))

    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> CompletionResponseAsyncGen:
        checked = await asyncio.to_thread(self._completed, prompt)
        if checked.result.blocked:
            return _aonce(completion_refusal(self._guarding.refusal, checked.result))
        stream = await self._model.astream_complete(checked.value, formatted=formatted, **kwargs)
        return aguarded(stream, CompletionStream(self._guarding))

    def _checked(self, stage: Stage, value: Any) -> Checked:
        return self._passed(self._guarding.check(stage, value))

    def _chat_refusal(self, result: GuardResult) -> ChatResponse:
        return chat_refusal(self._guarding.refusal, result)

    def _reply_policy(self, messages: Sequence[ChatMessage]) -> Guarding:
        """The policy for the reply to a prompt: what the developer told the model must not come out again."""
        told = system_text(messages)
        if (said := said_here()) is not None:
            said.system = told
            said.recall(messages)
        return self._guarding.within(system=told) if told else self._guarding

    def _gate(self, policy: Guarding) -> CallGate:
        return CallGate(policy, self._actions, tells=self._tells)

    def _chat_stream(self, policy: Guarding) -> ChatStream:
        return ChatStream(policy, self._gate(policy))

    def _answer(self, response: ChatResponse, policy: Guarding | None = None) -> ChatResponse:
        policy = policy or self._guarding
        message = response.message
        message = message.model_copy(update={"additional_kwargs": _answered(message)})
        content = [message, guardable(response.additional_kwargs)]
        checked = self._passed(policy.check(Stage.RESPONSE, content))
        if checked.result.blocked:
            return self._chat_refusal(checked.result)
        message, extras = checked.value
        try:
            message = self._gate(policy).passed(message)
        except GuardBlocked as blocked:
            return self._chat_refusal(declined(blocked, policy))
        return ChatResponse(
            message=message,
            delta=None if response.delta is None else message.content or "",
            logprobs=None if checked.result.transformed else response.logprobs,
            additional_kwargs=extras,
        )

    def _completion(self, response: CompletionResponse) -> CompletionResponse:
        checked = self._checked(Stage.RESPONSE, [response.text, guardable(response.additional_kwargs)])
        if checked.result.blocked:
            return completion_refusal(self._guarding.refusal, checked.result)
        text, extras = checked.value
        return CompletionResponse(
            text=text,
            delta=None if response.delta is None else text,
            logprobs=None if checked.result.transformed else response.logprobs,
            additional_kwargs=extras,
        )


class GuardedLLM(_Guards, LLM):  # type: ignore[misc]
    """What `guard_llm` makes of a model."""

    _inner: Any = PrivateAttr(default=None)
    _guarding: Guarding = PrivateAttr()
    _actions: Guarding | None = PrivateAttr(default=None)
    _tells: bool = PrivateAttr(default=False)

    @classmethod
    def class_name(cls) -> str:
        return "GuardedLLM"


class GuardedFunctionCallingLLM(Calling, _Guards, FunctionCallingLLM):  # type: ignore[misc]
    """What `guard_llm` makes of a model that calls functions."""

    _inner: Any = PrivateAttr(default=None)
    _guarding: Guarding = PrivateAttr()
    _actions: Guarding | None = PrivateAttr(default=None)
    _tells: bool = PrivateAttr(default=False)

    @classmethod
    def class_name(cls) -> str:
        return "GuardedFunctionCallingLLM"

    def _prepare_chat_with_tools(self, tools: Sequence[BaseTool], **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return cast("dict[str, Any]", self._inner._prepare_chat_with_tools_compat(tools, **kwargs))  # noqa: SLF001

    def _prepare_chat_with_tools_compat(self, tools: Sequence[BaseTool], **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self._prepare_chat_with_tools(tools, **kwargs)

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **kwargs: Any,
    ) -> ChatResponse:
        kwargs["allow_parallel_tool_calls"] = allow_parallel_tool_calls
        return cast("ChatResponse", self._inner._validate_chat_with_tools_response(response, tools, **kwargs))  # noqa: SLF001

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,  # noqa: FBT001, FBT002 - LlamaIndex's signature
        **kwargs: Any,
    ) -> list[ToolSelection]:
        return cast(
            "list[ToolSelection]",
            self._inner.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs),
        )


def in_agent(llm: LLM, policy: Guarding) -> LLM:
    """A guarded model as an agent has it: the policy's pre_tool stage judges its tool calls as well.

    Agents tell everybody of a call, and remember it, before its tool is asked.
    """
    guarded = cast("Any", llm)
    made: LLM = guarded.judging(policy, tells=True)
    return made


def _answered(message: ChatMessage) -> dict[str, Any]:
    """What a provider put beside an answer: the calls as they are, and what can be guarded."""
    calls = {key: message.additional_kwargs[key] for key in CALLS if key in message.additional_kwargs}
    rest = {key: value for key, value in message.additional_kwargs.items() if key not in calls}
    return {**guardable(rest), **calls}


def _once(response: _Chunk) -> Generator[_Chunk, None, None]:
    yield response


async def _aonce(response: _Chunk) -> AsyncGenerator[_Chunk, None]:
    yield response
