"""``guard_verdict`` events of models, chains and agents: one for every check that found something, in every way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver

from guardrails_plugin import Engine, GuardBlocked, Keyring
from guardrails_plugin.langchain import guard_model
from tests.integration.langchain.fakes import BLOCK, RAW, SAID, calling, guard, says
from tests.integration.langchain.test_middleware import agent
from tests.strategies import NO_MODEL

WAYS = ("invoke", "ainvoke", "stream", "astream", "events")
LONG = f"{SAID} " + "And the story goes on, so that something streams. " * 4


class Told(BaseCallbackHandler):
    """Custom events."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.runs: list[Any] = []

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        assert name == "guard_verdict"
        self.events.append(data)

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.runs.append(kwargs["run_id"])


def verdicts(app: Any, way: str, value: Any, config: Any = None) -> list[str]:
    """Stages and verdicts, in order; event streams say the same as callbacks."""
    told = Told()
    own: Any = {**(config or {}), "callbacks": [told]}

    async def astream() -> None:
        async for _ in app.astream(value, own):
            pass

    async def events() -> list[Any]:
        return [one async for one in app.astream_events(value, own, version="v2") if one["event"] == "on_custom_event"]

    if way == "invoke":
        app.invoke(value, own)
    elif way == "ainvoke":
        asyncio.run(app.ainvoke(value, own))
    elif way == "stream":
        list(app.stream(value, own))
    elif way == "astream":
        asyncio.run(astream())
    else:
        assert [one["data"] for one in asyncio.run(events())] == told.events
    assert RAW not in json.dumps(told.events)
    return [f"{one['stage']} {one['verdict']}" for one in told.events]


def model(**options: Any) -> Any:
    own: dict[str, Any] = {"prompt": guard("llm_prompt"), "response": guard("response"), **options}
    return guard_model(says(LONG), **own)


@pytest.mark.parametrize("way", WAYS)
class TestEveryWay:
    def test_a_model_by_itself(self, way: str) -> None:
        assert verdicts(model(), way, SAID) == ["llm_prompt transform", "response transform"]

    def test_a_chain(self, way: str) -> None:
        stages = verdicts(guard("prompt") | model(), way, SAID)
        assert stages == ["prompt transform", "response transform"]

    def test_a_guard_behind_a_model(self, way: str) -> None:
        assert verdicts(says(LONG) | guard("response"), way, "hi") == ["response transform"]

    def test_an_agent(self, way: str) -> None:
        @tool
        def lookup(name: str) -> str:
            """Look somebody up."""
            return SAID

        app = agent(says(calling("lookup", name="A"), LONG), [lookup], saver=MemorySaver())
        config = {"configurable": {"thread_id": "1"}}
        stages = verdicts(app, way, {"messages": [HumanMessage(SAID)]}, config)
        assert stages == ["pre_plan transform", "post_tool transform", "response transform"]

    def test_a_refused_reply(self, way: str) -> None:
        own = model(response=guard("response", overrides=BLOCK), on_block="refuse")
        assert verdicts(own, way, "hi") == ["response block"]

    def test_a_refused_stream(self, way: str) -> None:
        own = says(LONG) | guard("response", overrides=BLOCK, on_block="refuse")
        assert verdicts(own, way, "hi") == ["response block"]

    def test_a_reply_whose_encrypted_values_hold_it_back(self, way: str) -> None:
        engine = Engine(keyring=Keyring.generate())
        encrypt: Any = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
        own = model(prompt=guard("llm_prompt", engine, overrides=encrypt), response=guard("response", engine))
        assert verdicts(own, way, SAID) == ["llm_prompt transform", "response transform"]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_block_that_raises_is_told_too(way: str) -> None:
    for app in (
        model(response=guard("response", overrides=BLOCK)),
        says(LONG) | guard("response", overrides=BLOCK),
    ):
        told = Told()
        config: Any = {"callbacks": [told]}
        with pytest.raises(GuardBlocked):
            _: Sequence[Any] = [app.invoke("hi", config)] if way == "invoke" else list(app.stream("hi", config))
        assert [(one["stage"], one["verdict"]) for one in told.events] == [("response", "block")]


def test_a_models_verdicts_belong_to_its_run() -> None:
    owners: list[Any] = []

    class Owners(Told):
        def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
            owners.append((kwargs["run_id"], kwargs["tags"], kwargs["metadata"]["user_id"]))

    told = Owners()
    model().invoke(SAID, {"callbacks": [told], "tags": ["blue"], "metadata": {"user_id": "u1"}})
    assert owners == [(told.runs[0], ["blue"], "u1")] * 2


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_every_refused_stream_is_written_down(way: str) -> None:
    written: list[Any] = []

    class Sink:
        def write(self, record: Any) -> None:
            written.append((record["stage"], record["verdict"]))

    own = guard("response", Engine(sinks=[Sink()]), overrides=BLOCK, on_block="refuse")
    verdicts(says(LONG) | own, way, "hi")
    assert written == [("response", "block")]
