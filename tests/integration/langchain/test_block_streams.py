"""Streams of content blocks and of what a model thinks: chunk by chunk, and all in all what a whole message gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from guardrails_plugin import GuardBlocked
from guardrails_plugin.langchain import guard_model
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, USAGE, guard

TALK = "The weather is fine today. " * 8
FIELDS = {"text": "text", "thinking": "thinking", "reasoning": "reasoning"}


def block(index: int, kind: str = "text", text: str = SAID, **others: Any) -> dict[str, Any]:
    return {"type": kind, FIELDS[kind]: text, "index": index, **others}


def chunk(*blocks: Any, **fields: Any) -> AIMessageChunk:
    return AIMessageChunk(content=list(blocks), id="1", **fields)


ANTHROPIC = [
    chunk(),
    chunk(block(0, "thinking", "He says: my SSN is 536-")),
    chunk(block(0, "thinking", "90-4399, thanks.")),
    chunk({"type": "thinking", "signature": "EqQB", "index": 0}),
    chunk(block(1, "text", "")),
    *(chunk(block(1, "text", "The weather is fine today. ")) for _ in range(12)),
    chunk(block(1, "text", "My SSN is 536-90-43")),
    chunk(block(1, "text", "99, thanks.")),
    chunk({"type": "text", "text": "", "citations": [{"cited_text": SAID}], "index": 1}),
    chunk({"type": "tool_use", "id": "t", "name": "send", "input": {}, "index": 2}),
    chunk({"type": "input_json_delta", "partial_json": '{"ssn": "536-', "index": 2}),
    chunk({"type": "input_json_delta", "partial_json": '90-4399"}', "index": 2}),
    chunk(block(3, "text", SAID)),
    AIMessageChunk(content="", id="1", usage_metadata=USAGE, response_metadata={"stop_reason": "end_turn"}),
]
OPENAI = [
    chunk({"type": "reasoning", "id": "rs_1", "summary": [], "index": 0}),
    chunk(
        {"type": "reasoning", "summary": [{"index": 0, "type": "summary_text", "text": "My SSN is 536"}], "index": 0}
    ),
    chunk({"type": "reasoning", "summary": [{"index": 0, "type": "summary_text", "text": "-90-4399."}], "index": 0}),
    chunk({"type": "text", "text": "", "index": 1, "id": "msg_1"}),
    *(chunk(block(1, text=piece)) for piece in (TALK, "My SSN ", "is 536-90", "-4399, ", "thanks.")),
    chunk({"type": "text", "annotations": [{"title": SAID}], "index": 1}),
    chunk(usage_metadata=USAGE, chunk_position="last"),
]
STANDARD = [
    chunk(block("lc_rs_0", "reasoning", "My SSN is 536-")),  # type: ignore[arg-type]
    chunk(block("lc_rs_0", "reasoning", "90-4399.")),  # type: ignore[arg-type]
    chunk(block("lc_txt_1", text=SAID), block("lc_txt_1", text=TALK)),  # type: ignore[arg-type]
]
THINKS = [
    *(
        AIMessageChunk(content="", id="1", additional_kwargs={"reasoning_content": piece})
        for piece in ("My SSN is 536-9", "0-4399. ")
    ),
    *(AIMessageChunk(content=piece, id="1", additional_kwargs={"reasoning_content": ""}) for piece in (TALK, SAID)),
    AIMessageChunk(content="", id="1", usage_metadata=USAGE),
]
STREAMS = {"anthropic": ANTHROPIC, "openai": OPENAI, "standard": STANDARD, "thinks": THINKS}


@pytest.mark.parametrize("stage", ["response", "llm_prompt"])
@pytest.mark.parametrize("name", STREAMS)
def test_the_chunks_add_up_to_the_guarded_whole(name: str, stage: str) -> None:
    chunks = STREAMS[name]
    released = list(guard(stage).transform(iter(chunks)))
    whole = guard(stage).invoke(reduce(add, chunks))
    assert reduce(add, released) == whole
    assert RAW not in repr(whole)
    assert len({one.id for one in released}) == 1


@given(st.data())
def test_for_any_chunking(data: Any) -> None:
    blocks = data.draw(
        st.lists(
            st.tuples(st.sampled_from(list(FIELDS)), st.sampled_from([SAID, TALK + SAID, "x", ""])),
            min_size=1,
            max_size=3,
        )
    )
    pieces: list[Any] = []
    for index, (kind, text) in enumerate(blocks):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        pieces += [block(index, kind, text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    chunks = [chunk(piece) for piece in pieces]
    whole = guard("response").invoke(reduce(add, chunks))
    assert reduce(add, list(guard("response").transform(iter(chunks)))) == whole


@pytest.mark.parametrize("first", [True, False])
def test_text_without_an_index_is_one_text(first: bool) -> None:
    parts = [{"type": "text", "text": text} for text in (TALK, "My SSN is 536-90", "-4399, thanks.")]
    chunks = (
        [chunk(part) for part in parts] if first else [AIMessageChunk(content=[str(part["text"])]) for part in parts]
    )
    released = list(guard("response").transform(iter(chunks)))
    assert len(released) > 1
    assert "".join(str(one.text) for one in released) == TALK + CLEAN


class Streams(BaseChatModel):
    """A model that streams these chunks."""

    chunks: list[Any]

    @property
    def _llm_type(self) -> str:
        return "streams"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for one in self.chunks:
            yield ChatGenerationChunk(message=one.model_copy())


def guarded(chunks: list[Any], overrides: Any = None, **options: Any) -> Any:
    response = guard("response", **({} if overrides is None else {"overrides": overrides}))
    return guard_model(Streams(chunks=chunks), prompt=False, response=response, **options)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_guarded_model_streams_them(asynchronous: bool) -> None:
    async def everything(model: Any) -> list[Any]:
        return [one async for one in model.astream("hi")]

    for chunks in (ANTHROPIC, OPENAI, THINKS):
        model = guarded(chunks)
        released = asyncio.run(everything(model)) if asynchronous else list(model.stream("hi"))
        texts = [str(one.text) for one in released if one.text]
        assert len(texts) > 1, "it streams"
        assert "".join(texts) == str(guard("response").invoke(reduce(add, chunks)).text)
        assert RAW not in repr(released)
    order = [bool(one.text) for one in released if one.text or one.additional_kwargs]
    assert order[0] is False, "what is thought comes first"


def test_a_refused_block_ends_the_stream() -> None:
    later = chunk(block(9, text="Later."))
    blocked = {**BLOCK, "pii": {"sensitive": "block"}}
    for chunks in (ANTHROPIC[:3], ANTHROPIC[4:7] + ANTHROPIC[17:19], OPENAI[:4], THINKS[:3]):
        with pytest.raises(GuardBlocked):
            list(guarded([*chunks, later], blocked).stream("hi"))
        released = reduce(add, guarded([*chunks, later], blocked, on_block="refuse", refusal="No.").stream("hi"))
        assert str(released.text).endswith("No.")
        assert RAW not in repr(released)


def test_what_comes_with_text_that_is_held_back_is_not_lost() -> None:
    one = AIMessageChunk(content="My", id="1", usage_metadata=USAGE, response_metadata={"model_name": "m"})
    whole = reduce(add, guard("response").transform(iter([one])))
    assert (whole.content, whole.usage_metadata, whole.response_metadata) == ("My", USAGE, {"model_name": "m"})
