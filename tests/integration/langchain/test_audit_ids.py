"""What of a run's config an audit record holds: ids and tags, by which it is found; nothing that may be content."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import MemorySaver

from guardrails_plugin import Engine
from guardrails_plugin.langchain import guard_model
from tests.integration.langchain.fakes import RAW, SAID, guard, says
from tests.integration.langchain.test_middleware import agent

RUN = uuid.UUID("11111111-2222-4333-8444-555555555555")
CONFIG: Any = {
    "run_id": RUN,
    "tags": ["prod", "eu"],
    "metadata": {"user_id": "u1", "session_id": "s1", "note": SAID},
    "configurable": {"thread_id": "t1"},
}
IDS = {"user_id": "u1", "session_id": "s1", "thread_id": "t1", "tags": "eu,prod"}


class Sink:
    """The metadata of audit records."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str]] = []

    def write(self, record: Any) -> None:
        assert RAW not in repr(record)
        self.metadata.append(dict(record["metadata"]))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def engine(sink: Sink) -> Engine:
    return Engine(sinks=[sink])


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_guard(sink: Sink, engine: Engine, way: str) -> None:
    own = guard("prompt", engine)
    _ = own.invoke(SAID, CONFIG) if way == "invoke" else list(own.stream(SAID, CONFIG))
    assert sink.metadata == [{**IDS, "run_id": str(RUN)}]


def test_a_guard_in_a_chain_names_the_chains_run_and_not_its_steps(sink: Sink, engine: Engine) -> None:
    (RunnableLambda(str) | guard("prompt", engine)).invoke(SAID, CONFIG)
    assert sink.metadata == [{**IDS, "run_id": str(RUN)}]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_model(sink: Sink, engine: Engine, way: str) -> None:
    model = guard_model(says(SAID), prompt=guard("llm_prompt", engine), response=guard("response", engine))
    _: Any = model.invoke(SAID, CONFIG) if way == "invoke" else list(model.stream(SAID, CONFIG))
    assert sink.metadata == [{**IDS, "run_id": str(RUN)}] * 2


def test_every_stage_of_an_agent(sink: Sink, engine: Engine) -> None:
    app = agent(says(SAID), engine=engine, saver=MemorySaver())
    app.invoke({"messages": [HumanMessage(SAID)]}, CONFIG)
    assert len(sink.metadata) == 3
    for found in sink.metadata:
        # The run is that of the step: `run_id` differs from the agent's, `thread_id` is its.
        assert {**found, "run_id": ""} == {**IDS, "run_id": ""}
        assert found["run_id"]


def test_without_a_run_nothing_is_said(sink: Sink, engine: Engine) -> None:
    guard("prompt", engine).invoke(SAID)
    assert sink.metadata == [{}]
