"""The audit handler: it sees, it writes down, it cannot stop anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import TextNode
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags

from guardrails_plugin import Engine
from guardrails_plugin.llama_index import GuardAuditEventHandler
from tests.integration.llama_index.scripted import CARD, QUIET, SSN, PlainLLM, Script, blocking, leaks


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
