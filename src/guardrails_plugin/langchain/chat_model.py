"""A chat model behind guards: the one place where token streams, events and traces are clean of what was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import Annotated, Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseCallbackHandler, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.cache import Caching
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.exchange import Exchange, hidden
from guardrails_plugin.langchain.failures import GuardedFailures
from guardrails_plugin.langchain.fields import guard_at
from guardrails_plugin.langchain.inner_run import handlers, inner_config, without_handlers
from guardrails_plugin.langchain.reply_calls import ReplyCalls
from guardrails_plugin.langchain.run_aware import RunAwareChatModel
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.langchain.tool_gate import ToolGate
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Stage

__all__ = ["GuardedChatModel", "guard_model"]


class GuardedChatModel(RunAwareChatModel):
    """A chat model whose prompts and replies are guarded; build one with `guard_model`.

    The inner model's own run is hidden from callbacks, tracers and LangGraph: they see this model's, with guarded
    replies and tokens. Handlers that the inner model carries (``callbacks=``, ``with_config``) are told this run, too;
    what it raises leaves it guarded, with its type (`failures.guarded_failure`). They also see its prompt as it came
    in, since LangChain tells them before any model code runs: put a ``Guard("llm_prompt")`` in front where traces must
    not hold it (`GuardMiddleware` does). This model caches nothing, for a cache would hold that prompt; the inner
    model's cache, or the global one, gets the guarded prompt and the guarded reply.

    Attributes:
        inner: the model.
        prompt: the llm_prompt guard; the stage's recipe by default, None for none.
        response: the response guard; likewise.
        pre_tool: guard for the tool calls in replies; none by default, since those who run tools have one.
        on_block: ``raise`` GuardBlocked, or ``refuse``: answer with `refusal`.
        answer_tools: names of tool calls that are answers (structured output), not calls: guarded as replies.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    inner: Any
    prompt: Annotated[Guard | None, guard_at(Stage.LLM_PROMPT)] = Field(default_factory=partial(Guard, "llm_prompt"))
    response: Annotated[Guard | None, guard_at(Stage.RESPONSE)] = Field(default_factory=partial(Guard, "response"))
    pre_tool: Annotated[Guard | None, guard_at(Stage.PRE_TOOL)] = None
    on_block: Literal["raise", "refuse"] = "raise"
    refusal: str = "This was blocked by policy."
    answer_tools: frozenset[str] = frozenset()
    cache: Any = Field(default=False, exclude=True)

    _moved: list[BaseCallbackHandler] = PrivateAttr(default_factory=list)

    def __init__(self, **fields: Any) -> None:
        with constructing(type(self)):
            super().__init__(**fields)
        self.inner, self._moved = without_handlers(self.inner)
        if self._moved:
            self.callbacks = [*handlers(self.callbacks), *self._moved]

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        chosen = {} if tool_choice is None else {"tool_choice": tool_choice}
        bound = self.inner.bind_tools(tools, **chosen, **kwargs)
        own = self
        if "ls_structured_output_format" in kwargs:
            names = {convert_to_openai_tool(tool)["function"]["name"] for tool in tools}
            own = self.model_copy(update={"answer_tools": self.answer_tools | names})
        if isinstance(bound, RunnableBinding) and bound.bound is self.inner:
            return own.bind(**bound.kwargs)
        return own.model_copy(update={"inner": bound})

    def around(self, inner: Any) -> GuardedChatModel:
        """The same guards around another model; the handlers that it carries are told the guarded run."""
        bare, moved = without_handlers(inner)
        # Handlers of the model that stood here are not the new one's.
        own = [one for one in handlers(self.callbacks) if one not in self._moved]
        made = self.model_copy(update={"inner": bare, "callbacks": [*own, *moved] or None})
        made._moved = moved  # noqa: SLF001 - its own class
        return made

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        exchange = self._exchange(run_manager)
        try:
            sent = exchange.enter(messages)
            caching = self._caching(run_manager)
            with self._failures(run_manager), hidden():
                reply = caching.model.invoke(sent, inner_config(), **_options(stop, kwargs))
            guarded = exchange.leave(reply)
            caching.keep(guarded)
            return _result(guarded)
        except GuardBlocked as blocked:
            return _result(exchange.refuse(blocked))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        exchange = self._exchange(run_manager)
        try:
            sent = await asyncio.to_thread(exchange.enter, messages)
            caching = self._caching(run_manager)
            async with self._failures(run_manager):
                with hidden():
                    reply = await caching.model.ainvoke(sent, inner_config(), **_options(stop, kwargs))
            guarded = await asyncio.to_thread(exchange.leave, reply)
            await caching.akeep(guarded)
            return _result(guarded)
        except GuardBlocked as blocked:
            return _result(exchange.refuse(blocked))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, stop, kwargs, run_manager):
            generation = ChatGenerationChunk(message=chunk)
            if run_manager is not None:
                run_manager.on_llm_new_token(generation.text, chunk=generation)
            yield generation

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._achunks(messages, stop, kwargs, run_manager)) as chunks:
            async for chunk in chunks:
                generation = ChatGenerationChunk(message=chunk)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(generation.text, chunk=generation)
                yield generation

    def _chunks(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], run_manager: Any
    ) -> Iterator[AIMessageChunk]:
        exchange = self._exchange(run_manager)
        try:
            sent = exchange.enter(messages)
            model = self._caching(run_manager).model
            failures = self._failures(run_manager)
            with closing(model.stream(sent, inner_config(), **_options(stop, kwargs))) as stream:
                while (chunk := _next(stream, failures)) is not None:
                    yield from exchange.feed(chunk)
            yield from exchange.finish()
        except GuardBlocked as blocked:
            yield exchange.refuse(blocked)

    async def _achunks(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], run_manager: Any
    ) -> AsyncGenerator[AIMessageChunk, None]:
        exchange = self._exchange(run_manager)
        try:
            sent = await asyncio.to_thread(exchange.enter, messages)
            model = self._caching(run_manager).model
            failures = self._failures(run_manager)
            async with aclosing(model.astream(sent, inner_config(), **_options(stop, kwargs))) as stream:
                while (chunk := await _anext(stream, failures)) is not None:
                    for released in exchange.feed(chunk):
                        yield released
            for released in await asyncio.to_thread(list, exchange.finish()):
                yield released
        except GuardBlocked as blocked:
            yield exchange.refuse(blocked)

    def _exchange(self, run_manager: Any) -> Exchange:
        refusal = self.refusal if self.on_block == "refuse" else None
        prompt, response = (
            StageCheck(guard).of_run(run_manager) if guard is not None else None
            for guard in (self.prompt, self.response)
        )
        exchange = Exchange(prompt, response, answer_tools=self.answer_tools, refusal=refusal)
        if self.pre_tool is not None:
            gate = ToolGate(StageCheck(self.pre_tool).of_run(run_manager), None, on_block="raise")
            exchange.calls = ReplyCalls(gate)
        return exchange

    def _failures(self, run_manager: Any) -> GuardedFailures:
        return GuardedFailures(self.response, run_manager, "model")

    def _caching(self, run_manager: Any) -> Caching:
        guards = [guard for guard in (self.response, self.pre_tool) if guard is not None]
        made = [
            (guard.engine.fingerprint(stage=guard.stage, recipe=guard.recipe, overrides=guard.overrides), tenant)
            for guard in guards
            for tenant in [StageCheck(guard).of_run(run_manager).tenant]
        ]
        return Caching(self.inner, f"{made}, {sorted(self.answer_tools)}" if made else "no")

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # Traces hold a model's repr, and a fake's holds its replies.
        return [("inner", type(self.inner).__name__)]

    @property
    def _llm_type(self) -> str:
        return str(getattr(self.inner, "_llm_type", "guarded"))

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return dict(getattr(self.inner, "_identifying_params", {}))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        known = getattr(self.inner, "_get_ls_params", None) or super()._get_ls_params
        params: LangSmithParams = known(stop=stop, **kwargs)
        return params

    def _resolve_model_profile(self) -> Any:
        return getattr(self.inner, "profile", None)

    @property
    def model_name(self) -> str:
        """The inner model's name, whatever it calls it: agents choose by it how to ask for structured output."""
        named = (getattr(self.inner, name, None) for name in ("model_name", "model", "model_id"))
        return next((name for name in named if isinstance(name, str)), "")


def guard_model(
    model: BaseChatModel,
    *,
    prompt: Option = True,
    response: Option = True,
    pre_tool: Option = False,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    on_block: Literal["raise", "refuse"] = "raise",
    refusal: str = "This was blocked by policy.",
) -> GuardedChatModel:
    """The model with its prompts and replies guarded, streams included; see `GuardedChatModel`.

    Args:
        model: any chat model.
        prompt: a guard for the prompt; True for the llm_prompt recipe, False for none.
        response: a guard for the reply; likewise.
        pre_tool: a guard for the tool calls in the reply, for what runs tools without a guard of its own; a blocked
            call refuses the reply. True for the pre_tool recipe; False, the default, for none.
        engine: of the guards that are not given.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        on_block: ``raise`` GuardBlocked, or ``refuse``: answer with ``refusal``.
        refusal: the answer in place of a refused one.

    Raises:
        ConfigError: a guard of another stage, no chat model, or no such choice.
    """
    if not _is_chat_model(model):
        raise ConfigError(
            f"guard_model: expected a chat model, got {type(model).__name__}; "
            "init_chat_model(...) makes one of a name; "
            "chains are guarded by a Guard"
        )
    if on_block not in {"raise", "refuse"}:
        raise unknown_name("on_block", on_block, ["raise", "refuse"], "guard_model")
    given = {"prompt": (prompt, Stage.LLM_PROMPT), "response": (response, Stage.RESPONSE)}
    given["pre_tool"] = (pre_tool, Stage.PRE_TOOL)
    policies = StagePolicies(engine, recipes, overrides)
    checks = {name: policies.at(option, stage) for name, (option, stage) in given.items()}
    guards = {name: check.guard if check is not None else None for name, check in checks.items()}
    return GuardedChatModel(inner=model, **guards, on_block=on_block, refusal=refusal)


def _is_chat_model(model: object) -> bool:
    """Whether it is one, or a variant of one: bound to options, with fallbacks or retries, configurable."""
    while isinstance(model, RunnableBindingBase):
        model = model.bound
    return isinstance(model, BaseChatModel) or (isinstance(model, Runnable) and hasattr(model, "bind_tools"))


def _options(stop: list[str] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Options of the call; no stop words would replace those that a model was bound with."""
    return kwargs if stop is None else {**kwargs, "stop": stop}


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(message))])


def _next(stream: Iterator[AIMessage], failures: GuardedFailures) -> AIMessage | None:
    with failures, hidden():
        return next(stream, None)


async def _anext(stream: AsyncIterator[AIMessage], failures: GuardedFailures) -> AIMessage | None:
    async with failures:
        with hidden():
            return await anext(stream, None)
