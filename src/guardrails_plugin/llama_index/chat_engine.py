"""`guard_chat_engine`: messages in, answers, their sources and the history out."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import AGENT_CHAT_RESPONSE_TYPE, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.memory import BaseMemory
from llama_index.core.schema import NodeWithScore

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.chat_answers import ChatAnswers
from guardrails_plugin.llama_index.failures import Asked
from guardrails_plugin.llama_index.guarding import REFUSAL, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.memory import GuardedMemory, guard_memory
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["GuardedChatEngine", "guard_chat_engine"]


def guard_chat_engine(
    chat_engine: BaseChatEngine,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> GuardedChatEngine:
    """The chat engine behind a door: messages are guarded at the prompt stage, answers at the response stage.

    A history that is handed in is guarded with the message; sources and source nodes at post_tool, blocked nodes left
    out; streams are released as they become safe. The engine works on a copy whose memory is a `guard_memory`: what
    was refused is remembered as the refusal. What the model inside is shown is a matter for `guard_llm` and
    `guard_retriever` (or `GuardNodePostprocessor`).

    Args:
        chat_engine: any; not changed, but what is said from now on goes into its memory, guarded.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``prompt``, ``response``, ``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every message.
        vault: where tokens of encrypted values go.
        on_block: ``raise`` GuardBlocked, of a streamed answer while it is read; ``refuse`` answers with `refusal`.
        refusal: the answer in place of a refused one.
    """
    require("chat_engine", chat_engine, BaseChatEngine, "a LlamaIndex chat engine")
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block=on_block, refusal=refusal
    )
    return GuardedChatEngine(chat_engine, policy)


class _Entrances:
    """The methods that take messages. No chat engine itself: LlamaIndex would record their arguments, which are raw."""

    _inner: BaseChatEngine
    _answers: ChatAnswers

    @property
    def _engine(self) -> Asked:
        return Asked(self._inner, self._answers.policy)

    def chat(
        self,
        message: str,
        chat_history: list[ChatMessage] | None = None,
        prev_chunks: list[NodeWithScore] | None = None,
    ) -> AGENT_CHAT_RESPONSE_TYPE:
        """The guarded answer; ``prev_chunks`` as in `ContextChatEngine`."""
        asked, refused = self._asked(message, chat_history, prev_chunks)
        return self._answers.refused(refused) if refused else self._answers.answer(self._engine.chat(**asked))

    async def achat(
        self,
        message: str,
        chat_history: list[ChatMessage] | None = None,
        prev_chunks: list[NodeWithScore] | None = None,
    ) -> AGENT_CHAT_RESPONSE_TYPE:
        """`chat`, async."""
        asked, refused = await asyncio.to_thread(self._asked, message, chat_history, prev_chunks)
        if refused:
            return self._answers.refused(refused)
        return await asyncio.to_thread(self._answers.answer, await self._engine.achat(**asked))

    def stream_chat(
        self,
        message: str,
        chat_history: list[ChatMessage] | None = None,
        prev_chunks: list[NodeWithScore] | None = None,
    ) -> StreamingAgentChatResponse:
        """The guarded answer as a stream."""
        asked, refused = self._asked(message, chat_history, prev_chunks)
        return self._answers.refused_stream(refused) if refused else self._stream(self._engine.stream_chat(**asked))

    async def astream_chat(
        self,
        message: str,
        chat_history: list[ChatMessage] | None = None,
        prev_chunks: list[NodeWithScore] | None = None,
    ) -> StreamingAgentChatResponse:
        """`stream_chat`, async."""
        asked, refused = await asyncio.to_thread(self._asked, message, chat_history, prev_chunks)
        if refused:
            return self._answers.refused_stream(refused)
        return await asyncio.to_thread(self._stream, await self._engine.astream_chat(**asked))

    def _stream(self, answer: StreamingAgentChatResponse) -> StreamingAgentChatResponse:
        return cast("StreamingAgentChatResponse", self._answers.answer(answer))

    def _asked(
        self, message: str, history: Sequence[ChatMessage] | None, chunks: Sequence[NodeWithScore] | None
    ) -> tuple[dict[str, Any], GuardResult | None]:
        """The guarded arguments of the inner engine, and the result when they are to be refused."""
        checked = self._answers.policy.check(Stage.PROMPT, [message, list(history or ())])
        if checked.result.blocked:
            return {}, checked.result
        text, told = checked.value
        given: dict[str, Any] = {"message": text}
        if history is not None:
            given["chat_history"] = told
        if chunks is not None:
            # Not every engine has the parameter.
            given["prev_chunks"] = self._answers.nodes(chunks)
        return given, None


class GuardedChatEngine(_Entrances, BaseChatEngine):
    """What `guard_chat_engine` makes."""

    def __init__(self, inner: BaseChatEngine, policy: Guarding) -> None:
        self._inner = copy.copy(inner)
        self._answers = ChatAnswers(policy)
        self.callback_manager = getattr(inner, "callback_manager", None)
        memory = getattr(inner, "_memory", None)
        self._remembers = isinstance(memory, BaseMemory)
        if self._remembers and not isinstance(memory, GuardedMemory):
            # LlamaIndex's engines all keep it there; streams write to it from a thread of their own.
            own: Any = self._inner
            own._memory = _memory(memory, policy)  # noqa: SLF001 - no public way

    def reset(self) -> None:
        self._inner.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """What was said, guarded."""
        history = self._inner.chat_history
        if self._remembers:
            return history
        memory = _memory(None, self._answers.policy)
        memory.set(history)
        return memory.get_all()


def _memory(memory: BaseMemory | None, policy: Guarding) -> GuardedMemory:
    """A guarded memory that keeps refusals: what is refused, the door raises for."""
    return guard_memory(
        memory,
        engine=policy.engine,
        recipes=policy.recipes,
        overrides=policy.overrides,
        context=policy.context,
        vault=policy.vault,
        on_block="refuse",
        refusal=policy.refusal,
    )
