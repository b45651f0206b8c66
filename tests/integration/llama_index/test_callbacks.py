"""The audit handler: it sees, it writes down, it cannot stop anything. And ids in the records of every guard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import Document, NodeWithScore, TextNode
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags

from guardrails_plugin import Context, Engine
from guardrails_plugin.llama_index import (
    GuardAuditEventHandler,
    GuardNodePostprocessor,
    GuardTransform,
    guard_agent,
    guard_llm,
    guard_memory,
    guard_tools,
)
from tests.integration.llama_index.scripted import (
    AGENTS_WARN,
    CARD,
    QUIET,
    SSN,
    PlainLLM,
    Script,
    blocking,
    call,
    leaks,
)
from tests.strategies import NO_MODEL


class Sink:
    """Keeps records."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """What a registered handler that would block writes down."""
    sink = Sink()
    overrides = {**QUIET, **{stage: blocking(stage)[stage] for stage in QUIET}}
    handler = GuardAuditEventHandler(engine=Engine(sinks=[sink]), overrides=overrides)
    get_dispatcher().add_event_handler(handler)
    yield sink
    get_dispatcher().event_handlers.remove(handler)


def test_it_records_prompts_and_answers_without_their_text_and_stops_nothing(sink: Sink) -> None:
    with instrument_tags({"session_id": "s1", "secret": SSN}):
        answer = Script(f"Card {CARD}").model().chat([ChatMessage(content=f"SSN {SSN}")])
    assert answer.message.content == f"Card {CARD}"
    assert [(r["stage"], r["verdict"]) for r in sink.records] == [("llm_prompt", "block"), ("response", "block")]
    assert sink.records[0]["metadata"] == {"session_id": "s1"}
    assert not leaks(sink.records)


def test_it_records_queries_retrievals_and_completions(sink: Sink) -> None:
    nodes = [TextNode(text=f"card {CARD}")]
    engine = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4)).as_query_engine(llm=PlainLLM.saying("Hi."))
    assert str(engine.query(f"SSN {SSN}")) == "Hi."
    found = {(record["stage"], record["verdict"]) for record in sink.records}
    assert found == {("prompt", "block"), ("post_tool", "block"), ("llm_prompt", "block"), ("response", "allow")}


TAGS = {"session_id": "s1", "user_id": 7, "secret": SSN}
IDS = {"session_id": "s1", "user_id": "7"}


def lookup(name: str) -> str:
    """Look somebody up."""
    return f"No {name}."


def test_the_tags_ids_are_in_the_records_of_models_streams_memories_tools_and_nodes() -> None:
    sink = Sink()
    engine = Engine(sinks=[sink])
    known: Any = {"engine": engine, "overrides": QUIET}
    message = ChatMessage(content=f"SSN {SSN}")
    with instrument_tags(TAGS):
        llm = guard_llm(PlainLLM.saying("Hello Ann."), **known)
        llm.chat([message])
        asyncio.run(llm.achat([message]))
        list(llm.stream_chat([message]))
        guard_memory(**known).put(message)
        (tool,) = guard_tools([lookup], **known)
        tool(name="Ann")
        GuardTransform(engine=engine, overrides=NO_MODEL)([Document(text="x")])
        GuardNodePostprocessor(engine=engine, overrides=NO_MODEL).postprocess_nodes([NodeWithScore(node=Document())])
    assert {record["stage"] for record in sink.records} >= {"llm_prompt", "response", "prompt", "pre_tool", "ingestion"}
    assert [record for record in sink.records if record["metadata"] != IDS] == []
    guard_memory(**known).put(message)
    assert sink.records[-1]["metadata"] == {}


def test_a_context_of_ones_own_keeps_what_the_tags_do_not_say() -> None:
    sink = Sink()
    context = Context(metadata={"app": "desk", "session_id": "none"})
    with instrument_tags(TAGS):
        guard_memory(engine=Engine(sinks=[sink]), overrides=QUIET, context=context).put(ChatMessage(content="x"))
    assert sink.records[0]["metadata"] == {"app": "desk", **IDS}


@pytest.mark.filterwarnings(*(mark.args[0] for mark in AGENTS_WARN))
def test_an_agents_steps_know_the_tags_that_it_was_run_under() -> None:
    sink = Sink()

    async def run(agent: Any) -> None:
        with instrument_tags(TAGS):
            handler = agent.run(user_msg="Hi")
        await handler

    llm = Script(call(("lookup", {"name": "Ann"})), "Done.").model()
    agent = guard_agent(FunctionAgent(llm=llm, tools=[lookup]), engine=Engine(sinks=[sink]), overrides=QUIET)
    sink.records.clear()
    asyncio.run(run(agent))
    assert {record["stage"] for record in sink.records} >= {
        "pre_plan",
        "llm_prompt",
        "response",
        "pre_tool",
        "post_tool",
    }
    assert [record for record in sink.records if record["metadata"] != IDS] == []
