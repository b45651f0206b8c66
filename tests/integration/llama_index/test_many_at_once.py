"""Many streams at once, and pipelines in processes of their own."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.schema import Document

from guardrails_plugin.llama_index import GuardTransform, guard_llm
from tests.integration.llama_index.scripted import QUIET, SSN, said
from tests.strategies import NO_MODEL

STREAMS, MORE = 1000, 300


def ssn(number: int) -> str:
    """A number of one's own for each stream."""
    return f"536-{10 + number % 89}-{1000 + number}"


async def echoing(messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatMessage, None]:
    """Streams an answer with the number of whoever asks, in pieces of any size, giving way at each."""
    number = int(str(messages[-1].content).split("#")[1])
    text, sizes = f"Stream #{number}: the SSN is {ssn(number)}, and that is #{number}.", random.Random(number)
    while text:
        size = sizes.randint(1, 9)
        yield said(text[:size])
        text = text[size:]
        await asyncio.sleep(0)


async def read(llm: Any, number: int) -> str:
    """The text of one stream."""
    stream = await llm.astream_chat([ChatMessage(content=f"I am {ssn(number)}, #{number}")])
    return "".join([chunk.delta async for chunk in stream])


@pytest.mark.slow
def test_a_thousand_interleaved_streams_stay_apart_and_leave_nothing_behind() -> None:
    llm = guard_llm(MockFunctionCallingLLM(response_generator=echoing), overrides=QUIET)

    async def all_of(numbers: range) -> list[str]:
        return await asyncio.gather(*(read(llm, number) for number in numbers))

    async def run() -> tuple[list[str], int]:
        texts = await all_of(range(STREAMS))  # fills what is cached once
        gc.collect()
        before = len(gc.get_objects())
        texts += await all_of(range(STREAMS, STREAMS + MORE))
        gc.collect()
        return texts, len(gc.get_objects()) - before

    texts, kept = asyncio.run(run())
    assert texts == [f"Stream #{n}: the SSN is <US_SSN>, and that is #{n}." for n in range(STREAMS + MORE)]
    # Not even one object for each stream.
    assert kept < MORE // 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:docstore_strategy")
def test_a_guard_travels_to_the_workers_of_a_pipeline() -> None:
    guard = GuardTransform(overrides={**NO_MODEL, "secrets": {"disabled": True}})
    pipeline = IngestionPipeline(transformations=[guard], disable_cache=True)
    texts = [f"Page {number} says {SSN}." for number in range(4)]
    nodes = pipeline.run(documents=[Document(text=text, metadata={"by": SSN}) for text in texts], num_workers=2)
    assert sorted(node.get_content() for node in nodes) == [f"Page {number} says <US_SSN>." for number in range(4)]
    assert {node.metadata["by"] for node in nodes} == {"<US_SSN>"}
