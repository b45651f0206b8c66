"""A thousand streams, or hundreds of async runs, at once: nothing of one shows in another, and memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver

from guardrails_plugin import Engine, Keyring, Recipe
from guardrails_plugin.langchain import Guard, GuardedChatModel, GuardMiddleware, guard_model
from guardrails_plugin.testing.langchain import ScriptedChatModel
from tests.integration.langchain.fakes import calling, guard, outputs
from tests.strategies import NO_MODEL

TRACED = 50
"""Runs while memory is traced, which makes everything several times slower."""

GROWTH = 50_000
"""Bytes that further runs may add to what the first left behind."""

RULES: list[dict[str, Any]] = [{"detector": "pii", "action": "report", "actions": {"sensitive": "replace"}}]
ENGINE = Engine(
    recipes=[
        Recipe.model_validate({"name": stage, "stage": stage, "rules": RULES}) for stage in ("response", "llm_prompt")
    ]
)


def said(number: int) -> str:
    return f"user-{number} says: my SSN is 536-90-{number + 1:04d}, thanks from user-{number}."


def clean(number: int) -> str:
    return f"user-{number} says: my SSN is <US_SSN>, thanks from user-{number}."


def chunks(text: str) -> list[str]:
    return [text[at : at + 9] for at in range(0, len(text), 9)]


def interleaved_streams(count: int) -> list[str]:
    """Every stream is fed a chunk at a time, in random turns."""
    streams = [ENGINE.stream(stage="response") for _ in range(count)]
    waiting = [chunks(said(number))[::-1] for number in range(count)]
    outputs = [""] * count
    turns = [number for number, parts in enumerate(waiting) for _ in parts]
    random.Random(5).shuffle(turns)
    for number in turns:
        outputs[number] += streams[number].feed(waiting[number].pop())
    return [output + stream.finish() for output, stream in zip(outputs, streams, strict=True)]


def async_streams(count: int) -> list[str]:
    guard = Guard("response", engine=ENGINE)

    async def told(number: int) -> AsyncIterator[str]:
        for chunk in chunks(said(number)):
            await asyncio.sleep(0)
            yield chunk

    async def run(number: int) -> str:
        return "".join([chunk async for chunk in guard.atransform(told(number))])

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(run, range(count)))

    return asyncio.run(all_at_once())


def async_models(count: int) -> list[str]:
    model = guarded_echo()

    async def run(number: int) -> str:
        return str((await model.ainvoke(said(number))).content)

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(run, range(count)))

    return asyncio.run(all_at_once())


def async_model_streams(count: int) -> list[str]:
    model = guarded_echo()

    async def run(number: int) -> str:
        return "".join([str(chunk.content) async for chunk in model.astream(said(number))])

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(run, range(count)))

    return asyncio.run(all_at_once())


def guarded_echo() -> GuardedChatModel:
    return guard_model(ScriptedChatModel(replies=[lambda messages: str(messages[-1].content)]), engine=ENGINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "at_once"),
    [(interleaved_streams, 1_000), (async_streams, 1_000), (async_models, 300), (async_model_streams, 300)],
)
def test_what_runs_at_the_same_time_stays_apart_and_leaves_nothing_behind(
    run: Callable[[int], list[str]], at_once: int
) -> None:
    outputs = run(at_once)
    assert outputs == [clean(number) for number in range(len(outputs))]
    tracemalloc.start()
    try:
        run(TRACED)
        gc.collect()
        first, _ = tracemalloc.get_traced_memory()
        run(TRACED)
        gc.collect()
        second, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert second - first < GROWTH


THREADS = 150


def own_ssn(number: int) -> str:
    return f"536-{10 + number % 89}-{1000 + number}"


@pytest.mark.slow
def test_encrypted_threads_of_one_middleware_with_the_same_call_ids_share_no_value() -> None:
    """Every value is another thread's secret; calls are named alike in all of them, as small models do."""
    banked: list[str] = []

    @tool
    async def bank(ssn: str) -> str:
        """Tell the bank."""
        await asyncio.sleep(0)
        banked.append(ssn)
        return f"The bank knows {ssn}."

    def reply(messages: list[Any]) -> Any:
        if messages[-1].type == "tool":
            return f"Done: {messages[-1].content}"
        return calling("bank", ssn=str(messages[-1].content).removeprefix("My SSN is ").removesuffix("."))

    engine = Engine(keyring=Keyring.generate())
    encrypt: Any = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
    stages: Any = {stage: guard(stage, engine) for stage in ("llm_prompt", "response", "pre_tool")}
    stages |= {stage: guard(stage, engine, overrides=encrypt) for stage in ("pre_plan", "post_tool")}
    own = GuardMiddleware(engine=engine, trusted_tools={"bank": {"US_SSN"}}, restore_answer=True, **stages)
    model = ScriptedChatModel(replies=[reply])
    app: Any = create_agent(model, [bank], middleware=[own], checkpointer=MemorySaver())

    async def run(number: int) -> list[Any]:
        said = HumanMessage(f"My SSN is {own_ssn(number)}.")
        result = await app.ainvoke({"messages": [said]}, {"configurable": {"thread_id": str(number)}})
        return list(result["messages"])

    async def all_at_once() -> list[list[Any]]:
        return await asyncio.gather(*map(run, range(THREADS)))

    threads = asyncio.run(all_at_once())
    values = [own_ssn(number) for number in range(THREADS)]
    assert sorted(banked) == sorted(values)
    assert [messages[-1].content for messages in threads] == [f"Done: The bank knows {value}." for value in values]
    for number, messages in enumerate(threads):
        assert outputs(messages) != [f"The bank knows {own_ssn(number)}."]
        assert not set(values) & set(re.findall(r"\d{3}-\d{2}-\d{4}", repr(messages))) - {own_ssn(number)}
    assert not set(values) & set(re.findall(r"\d{3}-\d{2}-\d{4}", repr(model.seen)))
