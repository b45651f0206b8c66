"""Synthesizers used without a query engine: texts, nodes, streams, objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer, ResponseMode, get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from guardrails_plugin import GuardBlocked
from guardrails_plugin.llama_index import guard_synthesizer
from tests.integration.llama_index.scripted import CARD, IBAN, QUIET, SSN, PlainLLM, blocking, leaks
from tests.integration.llama_index.test_query_engine import ANSWER, ASKED, CLEAN, index, read, recorded

TEXTS = [f"Ann pays with {CARD}.", "Bob."]
METHODS = ["synthesize", "asynthesize", "get_response", "aget_response"]


def nodes(*texts: str) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text, metadata={"card": CARD} if CARD in text else {})) for text in texts]


def synthesizer(llm: Any, mode: str = "compact", *, streaming: bool = False) -> BaseSynthesizer:
    return get_response_synthesizer(llm=llm, response_mode=ResponseMode(mode), streaming=streaming)


def asked(guarded: BaseSynthesizer, method: str, question: str = ASKED, **named: Any) -> tuple[str, Any]:
    """The text of an answer, and the answer."""
    given = nodes(*TEXTS) if method.endswith("synthesize") else TEXTS

    async def run() -> tuple[str, Any]:
        answer: Any = getattr(guarded, method)(question, given, **named)
        if method.startswith("a"):
            answer = await answer
        tokens: Any = getattr(answer, "response_gen", answer)
        if hasattr(tokens, "__aiter__"):
            return "".join([token async for token in tokens]), answer
        return "".join(tokens) if hasattr(tokens, "__next__") else read(answer), answer

    return asyncio.run(run())


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_question_texts_answer_and_sources_are_guarded(method: str, streaming: bool) -> None:
    llm = PlainLLM.saying(ANSWER)
    with recorded() as (events, spans):
        text, answer = asked(guard_synthesizer(synthesizer(llm, streaming=streaming), overrides=QUIET), method)
    assert text == CLEAN
    assert not leaks(llm.prompts, getattr(answer, "source_nodes", ""), getattr(answer, "metadata", ""))
    assert SSN not in repr(events) + repr(spans)
    assert CARD not in repr(events) + repr(spans)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", ["refine", "tree_summarize", "simple_summarize", "accumulate", "compact_accumulate"])
def test_every_mode_of_llamaindex(mode: str, method: str) -> None:
    llm = PlainLLM.saying(f"It is {IBAN}.")
    text, _ = asked(guard_synthesizer(synthesizer(llm, mode), overrides=QUIET), method)
    assert "<IBAN_CODE>" in text
    assert not leaks(text, [prompt for prompt in llm.prompts if SSN in prompt or CARD in prompt])


@pytest.mark.parametrize("method", METHODS)
def test_blocks_raise_or_are_answered_and_blocked_texts_are_left_out(method: str) -> None:
    llm = PlainLLM.saying(f"It is {CARD}.")
    for stage in ("prompt", "response"):
        with pytest.raises(GuardBlocked, match=stage):
            asked(guard_synthesizer(synthesizer(llm), overrides=blocking(stage)), method)
        refusing = guard_synthesizer(synthesizer(llm), overrides=blocking(stage), on_block="refuse", refusal="No.")
        assert asked(refusing, method)[0] == "No."
    asking = PlainLLM.saying("Fine.")
    asked(guard_synthesizer(synthesizer(asking), overrides=blocking("post_tool")), method, "Who pays?")
    assert "Bob." in asking.prompts[0]
    assert "Ann" not in asking.prompts[0]


def test_further_nodes_and_an_answer_so_far_are_guarded() -> None:
    llm = PlainLLM.saying("Fine.")
    guarded = guard_synthesizer(synthesizer(llm), overrides=QUIET)
    answer = guarded.synthesize("Who?", nodes("Bob."), nodes(f"Ann has {CARD}."))
    assert len(answer.source_nodes) == 2
    guarded.get_response("Who?", TEXTS, prev_response=f"Ann, {SSN}")
    assert not leaks(answer.source_nodes, llm.prompts)


class Own(BaseSynthesizer):
    """A synthesizer that is a function."""

    def __init__(self, answer: Callable[[Sequence[Any]], Any]) -> None:
        super().__init__(llm=PlainLLM.saying("x"))
        self._answer = answer

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> Any:
        return self._answer(text_chunks)

    async def aget_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> Any:
        return self._answer(text_chunks)

    def get_response_from_messages(self, query_str: str, message_chunks: Sequence[ChatMessage], **named: Any) -> Any:
        return self._answer(message_chunks)

    async def aget_response_from_messages(self, query_str: str, message_chunks: Sequence[ChatMessage], **n: Any) -> Any:
        return self._answer(message_chunks)

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: dict[str, Any]) -> None:
        pass


def test_objects_are_guarded_and_always_raise() -> None:
    class Found(BaseModel):
        card: str

    own = Own(lambda _: Found(card=CARD))
    assert guard_synthesizer(own, overrides=QUIET).get_response("Who?", []) == Found(card="<CREDIT_CARD>")
    with pytest.raises(GuardBlocked):
        guard_synthesizer(own, overrides=blocking("response"), on_block="refuse").get_response("Who?", [])


def test_messages_are_guarded() -> None:
    guarded = guard_synthesizer(Own(lambda messages: str(messages[0].content)), overrides=QUIET)
    messages = [ChatMessage(content=f"Ann pays with {CARD}.")]
    assert guarded.get_response_from_messages("Who?", messages) == "Ann pays with <CREDIT_CARD>."
    assert asyncio.run(guarded.aget_response_from_messages("Who?", messages)) == "Ann pays with <CREDIT_CARD>."


def test_it_works_inside_a_query_engine_which_may_switch_streaming() -> None:
    inner = synthesizer(PlainLLM.saying(ANSWER))
    guarded = guard_synthesizer(inner, overrides=QUIET)
    engine = RetrieverQueryEngine(index().as_retriever(), response_synthesizer=guarded)
    assert read(engine.query("Who?")) == CLEAN
    guarded._streaming = True  # as the condense_question chat engine does
    assert (inner._streaming, guarded._streaming) == (True, True)
    assert read(engine.query("Who?")) == CLEAN
    assert guarded.get_prompts().keys() == {f"synthesizer:{key}" for key in inner.get_prompts()}
