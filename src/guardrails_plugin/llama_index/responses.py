"""Questions and answers (`Response`, streams, objects) with their sources and metadata, guarded for whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType
from llama_index.core.types import RESPONSE_TEXT_TYPE

from guardrails_plugin.llama_index.failures import areading, reading
from guardrails_plugin.llama_index.guarding import Guarding, HeldStream
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import GuardResult, Origin, Stage

__all__ = ["Responses"]


class Responses:
    """Questions at the prompt stage, answers at the response stage, their sources at post_tool."""

    def __init__(self, policy: Guarding) -> None:
        self.policy = policy

    def question(self, asked: QueryType) -> tuple[QueryBundle, GuardResult | None]:
        """The guarded question, and the result when it is to be refused."""
        bundle = QueryBundle(asked) if isinstance(asked, str) else asked
        checked = self.policy.check(Stage.PROMPT, [bundle.query_str, bundle.custom_embedding_strs])
        if checked.result.blocked:
            return QueryBundle(""), checked.result
        text, strings = checked.value
        if [text, strings] == [bundle.query_str, bundle.custom_embedding_strs]:
            return bundle, None
        # The embedding was that of the raw text.
        return replace(bundle, query_str=text, custom_embedding_strs=strings, embedding=None), None

    def nodes(self, nodes: Sequence[NodeWithScore]) -> list[NodeWithScore]:
        """The guarded nodes, without blocked ones."""
        return _kept(self.policy.nodes(nodes))

    def answer(self, answer: RESPONSE_TYPE) -> RESPONSE_TYPE:
        """The guarded answer; a stream stays one.

        Raises:
            GuardBlocked: it was refused, and the policy raises or the answer is an object.
        """
        nodes = self.policy.nodes(answer.source_nodes)
        checked = self.policy.check(Stage.RESPONSE, _beside(answer), origin=Origin.EXTERNAL)
        if checked.result.blocked:
            return self._declined(answer, checked.result)
        known: dict[str, Any] = {"source_nodes": _kept(nodes), "metadata": _metadata(answer, nodes, checked.value)}
        if isinstance(answer, StreamingResponse) and answer.response_txt is None:
            return replace(answer, response_gen=self.stream(answer.response_gen), **known)
        if isinstance(answer, AsyncStreamingResponse) and answer.response_txt is None:
            return replace(answer, response_gen=self.astream(answer.response_gen), **known)
        return self._finished(answer, known)

    def text(self, made: RESPONSE_TEXT_TYPE) -> RESPONSE_TEXT_TYPE:
        """An answer that is not wrapped yet: text, stream or object."""
        if isinstance(made, Generator):
            return self.stream(made)
        if isinstance(made, AsyncGenerator):
            return self.astream(made)
        checked = self.policy.check(Stage.RESPONSE, made)
        if checked.result.blocked:
            if not isinstance(made, str):
                checked.result.raise_for_block()
            return str(self.refused(checked.result))
        value: RESPONSE_TEXT_TYPE = checked.value
        return value

    def refused(self, result: GuardResult) -> Response:
        """What a refused question or answer becomes."""
        if not self.policy.refuses:
            result.raise_for_block()
        return Response(self.policy.refusal)

    def stream(self, tokens: Iterator[str]) -> Generator[str, None, None]:
        """The tokens as they become safe, or the refusal in place of the rest."""
        guard = self.policy.stream()
        for token in reading(tokens, self.policy, Stage.RESPONSE):
            if released := guard.feed(token or ""):
                yield released
            if guard.blocked:
                break
        if released := _end(guard, self.policy):
            yield released

    async def astream(self, tokens: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """`stream`, async."""
        guard = self.policy.stream()
        async for token in areading(tokens, self.policy, Stage.RESPONSE):
            if released := guard.feed(token or ""):
                yield released
            if guard.blocked:
                break
        if released := await asyncio.to_thread(_end, guard, self.policy):
            yield released

    def _finished(self, answer: RESPONSE_TYPE, known: dict[str, Any]) -> RESPONSE_TYPE:
        """An answer that is whole: text, object, or a stream that has been read."""
        if isinstance(answer, (Response, PydanticResponse)):
            checked = self.policy.check(Stage.RESPONSE, answer.response)
        else:
            checked = self.policy.check(Stage.RESPONSE, answer.response_txt)
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


def _kept(nodes: Sequence[NodeWithScore | None]) -> list[NodeWithScore]:
    return [node for node in nodes if node is not None]


def _end(guard: StreamGuard | HeldStream, policy: Guarding) -> str:
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
