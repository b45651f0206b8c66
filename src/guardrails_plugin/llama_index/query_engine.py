"""`guard_query_engine` and `guard_retriever`: questions in, answers and their sources out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.guarding import REFUSAL, Guarding, OnBlock, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import Context, GuardResult, Origin, Stage

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
    return GuardedRetriever(retriever, guarding(engine, recipes=recipes, overrides=overrides, context=context))


class _Questions:
    """The entrances. No query engine itself: LlamaIndex would record the arguments of its methods, which are raw."""

    def query(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        """The guarded answer; the question is guarded before the query's own event is sent."""
        own = cast("GuardedQueryEngine", self)
        question, refused = own.question(str_or_query_bundle)
        return own.refused(refused) if refused else BaseQueryEngine.query(own, question)

    async def aquery(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        """`query`, async."""
        own = cast("GuardedQueryEngine", self)
        question, refused = await asyncio.to_thread(own.question, str_or_query_bundle)
        return own.refused(refused) if refused else await BaseQueryEngine.aquery(own, question)


class GuardedQueryEngine(_Questions, BaseQueryEngine):
    """What `guard_query_engine` makes."""

    def __init__(self, inner: BaseQueryEngine, policy: Guarding) -> None:
        super().__init__(callback_manager=inner.callback_manager)
        self._inner = inner
        self._policy = policy

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question, refused = self.question(query_bundle)
        if refused:
            self.refused(refused)
            return []
        return _kept(self._policy.nodes(self._inner.retrieve(question)))

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        question, refused = self.question(query_bundle)
        if refused:
            return self.refused(refused)
        clean = _kept(self._policy.nodes(nodes))
        return self._answer(self._inner.synthesize(question, clean, additional_source_nodes))

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        question, refused = await asyncio.to_thread(self.question, query_bundle)
        if refused:
            return self.refused(refused)
        clean = _kept(await asyncio.to_thread(self._policy.nodes, nodes))
        answer = await self._inner.asynthesize(question, clean, additional_source_nodes)
        return await asyncio.to_thread(self._answer, answer)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return self._answer(self._inner.query(query_bundle))

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return await asyncio.to_thread(self._answer, await self._inner.aquery(query_bundle))

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"query_engine": self._inner}

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        """It has none of its own."""

    def question(self, asked: QueryType) -> tuple[QueryBundle, GuardResult | None]:
        """The guarded question, and the result when it is to be refused."""
        bundle = QueryBundle(asked) if isinstance(asked, str) else asked
        checked = self._policy.check(Stage.PROMPT, [bundle.query_str, bundle.custom_embedding_strs])
        if checked.result.blocked:
            return QueryBundle(""), checked.result
        text, strings = checked.value
        if [text, strings] == [bundle.query_str, bundle.custom_embedding_strs]:
            return bundle, None
        # The embedding was that of the raw text.
        return replace(bundle, query_str=text, custom_embedding_strs=strings, embedding=None), None

    def _answer(self, answer: RESPONSE_TYPE) -> RESPONSE_TYPE:
        nodes = self._policy.nodes(answer.source_nodes)
        checked = self._policy.check(Stage.RESPONSE, _beside(answer), origin=Origin.EXTERNAL)
        if checked.result.blocked:
            return self._declined(answer, checked.result)
        known: dict[str, Any] = {"source_nodes": _kept(nodes), "metadata": _metadata(answer, nodes, checked.value)}
        if isinstance(answer, StreamingResponse) and answer.response_txt is None:
            return replace(answer, response_gen=self._stream(answer.response_gen), **known)
        if isinstance(answer, AsyncStreamingResponse) and answer.response_txt is None:
            return replace(answer, response_gen=self._astream(answer.response_gen), **known)
        return self._finished(answer, known)

    def _finished(self, answer: RESPONSE_TYPE, known: dict[str, Any]) -> RESPONSE_TYPE:
        """An answer that is whole: text, object, or a stream that has been read."""
        if isinstance(answer, (Response, PydanticResponse)):
            checked = self._policy.check(Stage.RESPONSE, answer.response)
        else:
            checked = self._policy.check(Stage.RESPONSE, answer.response_txt)
        if checked.result.blocked:
            return self._declined(answer, checked.result)
        if isinstance(answer, PydanticResponse):
            return replace(answer, response=checked.value, **known)
        return Response(checked.value, **known)

    def _declined(self, answer: RESPONSE_TYPE, result: GuardResult) -> Response:
        if isinstance(answer, PydanticResponse):
            # No refusal has the shape of the object.
            result.raise_for_block()
        return self.refused(result)

    def refused(self, result: GuardResult) -> Response:
        """What a refused question or answer becomes."""
        if not self._policy.refuses:
            result.raise_for_block()
        return Response(self._policy.refusal)

    def _stream(self, tokens: Iterator[str]) -> Generator[str, None, None]:
        guard = self._policy.stream()
        for token in tokens:
            if released := guard.feed(token or ""):
                yield released
            if guard.blocked:
                break
        if released := _end(guard, self._policy):
            yield released

    async def _astream(self, tokens: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        guard = self._policy.stream()
        async for token in tokens:
            if released := guard.feed(token or ""):
                yield released
            if guard.blocked:
                break
        if released := await asyncio.to_thread(_end, guard, self._policy):
            yield released


class GuardedRetriever(BaseRetriever):
    """What `guard_retriever` makes."""

    def __init__(self, inner: BaseRetriever, policy: Guarding) -> None:
        super().__init__(callback_manager=inner.callback_manager)
        self._inner = inner
        self._policy = policy

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _kept(self._policy.nodes(self._inner.retrieve(query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _kept(await asyncio.to_thread(self._policy.nodes, await self._inner.aretrieve(query_bundle)))

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"retriever": self._inner}


def _kept(nodes: Sequence[NodeWithScore | None]) -> list[NodeWithScore]:
    return [node for node in nodes if node is not None]


def _end(guard: StreamGuard, policy: Guarding) -> str:
    """The last of a stream, or its refusal."""
    released = guard.finish()
    if not guard.blocked:
        policy.keep(guard.result)
        return released
    if not policy.refuses:
        guard.result.raise_for_block()
    return policy.refusal


def _beside(answer: RESPONSE_TYPE) -> dict[str, Any]:
    """Metadata of the answer itself: what stands there under a node's id is the node's, raw."""
    ids = {scored.node.node_id for scored in answer.source_nodes}
    return guardable({key: value for key, value in (answer.metadata or {}).items() if key not in ids})


def _metadata(
    answer: RESPONSE_TYPE, nodes: Sequence[NodeWithScore | None], own: dict[str, Any]
) -> dict[str, Any] | None:
    if answer.metadata is None:
        return None
    return {**{node.node.node_id: node.node.metadata for node in _kept(nodes)}, **own}
