"""`guard_query_engine` and `guard_retriever`: questions in, answers and their sources out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.failures import Asked
from guardrails_plugin.llama_index.guarding import REFUSAL, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.responses import Responses
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.types import Context, Stage

__all__ = ["GuardedQueryEngine", "GuardedRetriever", "guard_query_engine", "guard_retriever"]


def guard_query_engine(
    query_engine: BaseQueryEngine,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> GuardedQueryEngine:
    """The query engine behind a door: questions are guarded at the prompt stage, answers at the response stage.

    Source nodes are guarded at post_tool, blocked ones left out; streams are released as they become safe. What the
    model inside is shown is a matter for `guard_llm` and `GuardNodePostprocessor`: the events of the inner engine
    and its model hold the answer as it was before this guard.

    Args:
        query_engine: any; retrieve and synthesize work when they do there.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``prompt``, ``response``, ``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every query.
        vault: where tokens of encrypted values go.
        on_block: ``raise`` GuardBlocked; ``refuse`` answers with `refusal` (structured answers always raise).
        refusal: the answer in place of a refused one.
    """
    require("query_engine", query_engine, BaseQueryEngine, "a LlamaIndex query engine")
    policy = guarding(
        engine, recipes=recipes, overrides=overrides, context=context, vault=vault, on_block=on_block, refusal=refusal
    )
    return GuardedQueryEngine(query_engine, policy)


def guard_retriever(
    retriever: BaseRetriever,
    *,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
) -> GuardedRetriever:
    """The retriever without poisoned nodes; the others are cleaned (post_tool). Scores and order stay.

    Args:
        retriever: any.
        engine: the engine; one shared by the process by default.
        recipes: names of recipes, by stage (``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        context: what else is known, for every retrieval.
    """
    require("retriever", retriever, BaseRetriever, "a LlamaIndex retriever")
    return GuardedRetriever(retriever, guarding(engine, recipes=recipes, overrides=overrides, context=context))


class _Questions:
    """The entrances. No query engine itself: LlamaIndex would record the arguments of its methods, which are raw."""

    _responses: Responses

    def query(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        """The guarded answer; the question is guarded before the query's own event is sent."""
        own = cast("GuardedQueryEngine", self)
        question, refused = self._responses.question(str_or_query_bundle)
        return self._responses.refused(refused) if refused else BaseQueryEngine.query(own, question)

    async def aquery(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        """`query`, async."""
        own = cast("GuardedQueryEngine", self)
        question, refused = await asyncio.to_thread(self._responses.question, str_or_query_bundle)
        return self._responses.refused(refused) if refused else await BaseQueryEngine.aquery(own, question)


class GuardedQueryEngine(_Questions, BaseQueryEngine):
    """What `guard_query_engine` makes."""

    def __init__(self, inner: BaseQueryEngine, policy: Guarding) -> None:
        super().__init__(callback_manager=inner.callback_manager)
        self._inner = inner
        self._responses = Responses(policy)

    def _asked(self, stage: Stage = Stage.RESPONSE) -> Asked:
        return Asked(self._inner, self._responses.policy, stage)

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question, refused = self._responses.question(query_bundle)
        if refused:
            self._responses.refused(refused)
            return []
        return self._responses.nodes(self._asked(Stage.POST_TOOL).retrieve(question))

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        question, refused = self._responses.question(query_bundle)
        if refused:
            return self._responses.refused(refused)
        clean = self._responses.nodes(nodes)
        return self._responses.answer(self._asked().synthesize(question, clean, additional_source_nodes))

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        question, refused = await asyncio.to_thread(self._responses.question, query_bundle)
        if refused:
            return self._responses.refused(refused)
        clean = await asyncio.to_thread(self._responses.nodes, nodes)
        answer = await self._asked().asynthesize(question, clean, additional_source_nodes)
        return await asyncio.to_thread(self._responses.answer, answer)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return self._responses.answer(self._asked().query(query_bundle))

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return await asyncio.to_thread(self._responses.answer, await self._asked().aquery(query_bundle))

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"query_engine": self._inner}

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        """It has none of its own."""


class GuardedRetriever(BaseRetriever):
    """What `guard_retriever` makes."""

    def __init__(self, inner: BaseRetriever, policy: Guarding) -> None:
        super().__init__(callback_manager=inner.callback_manager)
        self._inner = inner
        self._responses = Responses(policy)
        self._asked = Asked(inner, policy, Stage.POST_TOOL)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._responses.nodes(self._asked.retrieve(query_bundle))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._responses.nodes, await self._asked.aretrieve(query_bundle))

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"retriever": self._inner}
