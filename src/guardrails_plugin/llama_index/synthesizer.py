"""`guard_synthesizer`: answers made of texts or nodes that one has at hand, without a query engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import NodeWithScore, QueryType
from llama_index.core.types import RESPONSE_TEXT_TYPE

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.failures import Asked
from guardrails_plugin.llama_index.guarding import REFUSAL, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.responses import Responses
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["GuardedSynthesizer", "guard_synthesizer"]


def guard_synthesizer(
    synthesizer: BaseSynthesizer,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> GuardedSynthesizer:
    """The synthesizer behind a door: questions at the prompt stage, texts and nodes at post_tool, answers at response.

    Blocked texts and nodes are left out before the model sees them; streams are released as they become safe. It
    works alone and as the ``response_synthesizer`` of a query engine. The model inside still reports its own answers
    to instrumentation and callback handlers.

    Args:
        synthesizer: any; not changed.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``prompt``, ``post_tool``, ``response``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every answer.
        vault: where tokens of encrypted values go.
        on_block: ``raise`` GuardBlocked; ``refuse`` answers with `refusal` (structured answers always raise).
        refusal: the answer in place of a refused one.
    """
    require("synthesizer", synthesizer, BaseSynthesizer, "a LlamaIndex response synthesizer")
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block=on_block, refusal=refusal
    )
    return GuardedSynthesizer(synthesizer, policy)


class _Entrances:
    """The methods that take text. No synthesizer itself: LlamaIndex would record their arguments, which are raw."""

    _inner: BaseSynthesizer
    _responses: Responses

    @property
    def _asked(self) -> Asked:
        return Asked(self._inner, self._responses.policy)

    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """The guarded answer to a question, made of nodes."""
        question, refused = self._responses.question(query)
        if refused:
            return self._responses.refused(refused)
        given = self._given(nodes, additional_source_nodes, response_kwargs)
        return self._responses.answer(self._asked.synthesize(question, **given))

    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """`synthesize`, async."""
        question, refused = await asyncio.to_thread(self._responses.question, query)
        if refused:
            return self._responses.refused(refused)
        given = await asyncio.to_thread(self._given, nodes, additional_source_nodes, response_kwargs)
        return await asyncio.to_thread(self._responses.answer, await self._asked.asynthesize(question, **given))

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> RESPONSE_TEXT_TYPE:
        """The guarded answer to a question, made of texts; a stream stays one."""
        question, refused = self._responses.question(query_str)
        if refused:
            return self._refused(refused)
        texts, named = self._texts(text_chunks), self._named(response_kwargs)
        return self._responses.text(self._asked.get_response(question.query_str, texts, **named))

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """`get_response`, async."""
        question, refused = await asyncio.to_thread(self._responses.question, query_str)
        if refused:
            return self._refused(refused)
        texts = await asyncio.to_thread(self._texts, text_chunks)
        named = await asyncio.to_thread(self._named, response_kwargs)
        made = await self._asked.aget_response(question.query_str, texts, **named)
        return await asyncio.to_thread(self._responses.text, made)

    def get_response_from_messages(
        self, query_str: str, message_chunks: Sequence[ChatMessage], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """`get_response` made of messages."""
        question, refused = self._responses.question(query_str)
        if refused:
            return self._refused(refused)
        texts, named = self._texts(message_chunks), self._named(response_kwargs)
        return self._responses.text(self._asked.get_response_from_messages(question.query_str, texts, **named))

    async def aget_response_from_messages(
        self, query_str: str, message_chunks: Sequence[ChatMessage], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """`get_response_from_messages`, async."""
        question, refused = await asyncio.to_thread(self._responses.question, query_str)
        if refused:
            return self._refused(refused)
        texts = await asyncio.to_thread(self._texts, message_chunks)
        named = await asyncio.to_thread(self._named, response_kwargs)
        made = await self._asked.aget_response_from_messages(question.query_str, texts, **named)
        return await asyncio.to_thread(self._responses.text, made)

    def _given(
        self, nodes: Sequence[NodeWithScore], more: Sequence[NodeWithScore] | None, named: dict[str, Any]
    ) -> dict[str, Any]:
        clean = self._responses.nodes(nodes)
        return {"nodes": clean, "additional_source_nodes": self._responses.nodes(more or ()), **self._named(named)}

    def _texts(self, texts: Sequence[Any]) -> list[Any]:
        """The guarded texts or messages, without blocked ones."""
        checks = self._responses.policy.each(Stage.POST_TOOL, texts)
        return [checked.value for checked in checks if not checked.result.blocked]

    def _named(self, given: dict[str, Any]) -> dict[str, Any]:
        """What else a template is filled with (an answer so far, say); a refused value always raises."""
        checked = self._responses.policy.check(Stage.POST_TOOL, guardable(given))
        checked.result.raise_for_block()
        return {**given, **checked.value}

    def _refused(self, result: GuardResult) -> str:
        return str(self._responses.refused(result))


class GuardedSynthesizer(_Entrances, BaseSynthesizer):
    """What `guard_synthesizer` makes. Settings are the synthesizer's own."""

    def __init__(self, inner: BaseSynthesizer, policy: Guarding) -> None:
        self._inner = inner
        self._responses = Responses(policy)

    def __getattr__(self, name: str) -> Any:
        if name in {"_inner", "_responses"}:
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def _streaming(self) -> bool:
        return cast("bool", cast("Any", self._inner)._streaming)  # noqa: SLF001 - query engines switch it

    @_streaming.setter
    def _streaming(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        cast("Any", self._inner)._streaming = value  # noqa: SLF001

    @property
    def callback_manager(self) -> CallbackManager:
        return self._inner.callback_manager

    @callback_manager.setter
    def callback_manager(self, callback_manager: CallbackManager) -> None:
        self._inner.callback_manager = callback_manager

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"synthesizer": self._inner}

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """It has none of its own."""
