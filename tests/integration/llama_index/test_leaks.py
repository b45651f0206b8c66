"""The leak matrix of LlamaIndex: canaries in the input, the reply and a tool's result, in every mode its parts have.

Models and tools of LlamaIndex tell instrumentation from the inside what a guard round them changes afterwards;
`inner_runs` names them. Everything else is clean.
"""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import MockEmbedding, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from guardrails_plugin import Engine
from guardrails_plugin.llama_index import (
    GuardAuditEventHandler,
    GuardTransform,
    guard_agent,
    guard_chat_engine,
    guard_documents,
    guard_llm,
    guard_memory,
    guard_query_engine,
    guard_retriever,
    guard_tools,
)
from guardrails_plugin.testing import CALLER_INPUT, Allow, assert_no_leak, find_leaks, inner_runs
from tests.integration.llama_index.scripted import (
    AGENTS_WARN,
    CARD,
    IBAN,
    QUIET,
    SSN,
    PlainLLM,
    Script,
    blocking,
    call,
    streaming,
)
from tests.strategies import NO_MODEL

pytestmark = [*AGENTS_WARN, pytest.mark.filterwarnings("ignore:docstore_strategy")]

CANARIES = {"in": SSN, "tool": CARD, "out": IBAN}
QUESTION = f"My SSN is {SSN}, thanks."
ANSWER = f"Let me see. The account is {IBAN}, I think. And the story goes on for a while, so that something streams."
INNER = inner_runs("MockFunctionCallingLLM", "FunctionTool")


def lookup(name: str) -> str:
    """Look somebody up."""
    return f"The card of {name} is {CARD}, they say."


def model(argument: str = "Ann") -> Any:
    return Script(call(("lookup", {"name": argument})), ANSWER).model()


def agent() -> Any:
    return FunctionAgent(llm=model(), tools=[FunctionTool.from_defaults(lookup)])


def workflow() -> Any:
    return AgentWorkflow(agents=[agent()])


def documents() -> list[Document]:
    return [Document(text=f"The card {CARD} is Ann's.", metadata={"owner": f"card {CARD}"})]


def query_engine(llm: Any, *, stream: bool = False, clean: bool = True) -> Any:
    known = guard_documents(documents(), overrides=NO_MODEL) if clean else documents()
    return SummaryIndex.from_documents(known).as_query_engine(llm=llm, streaming=stream)


def guarded_llm(*deltas: str) -> Any:
    return guard_llm(streaming(*deltas) if deltas else Script(ANSWER).model(), overrides=QUIET)


def guarded_queries() -> Any:
    return guard_query_engine(query_engine(guarded_llm()), overrides=QUIET)


def guarded_streams() -> Any:
    return guard_query_engine(query_engine(guarded_llm(ANSWER[:35], ANSWER[35:]), stream=True), overrides=QUIET)


def chat() -> Any:
    return SimpleChatEngine.from_defaults(llm=guarded_llm(), memory=guard_memory(overrides=QUIET))


@pytest.mark.parametrize("build", [agent, workflow])
def test_an_unguarded_agent_leaks_everything(build: Any) -> None:
    """Otherwise the tests below could not fail."""
    report = find_leaks(build, CANARIES, QUESTION, allow=[CALLER_INPUT])
    assert report.places() == {"run": {"in", "tool", "out"}}
    kinds = {leak.place.split()[0].split(".")[0] for leak in report.leaks}
    assert kinds >= {"output", "event", "instrumentation", "memory", "context"}


@pytest.mark.parametrize("build", [agent, workflow])
def test_guarded_agents(build: Any) -> None:
    report = assert_no_leak(
        lambda: guard_agent(build(), overrides=QUIET), CANARIES, [QUESTION, "And now?"], allow=[CALLER_INPUT, *INNER]
    )
    assert report.modes == {"run": "ran"}


def test_what_an_agent_refuses_shows_nothing() -> None:
    policy = {**QUIET, **{stage: blocking(stage)[stage] for stage in ("response", "pre_plan")}}
    report = assert_no_leak(
        lambda: guard_agent(agent(), overrides=policy), CANARIES, QUESTION, allow=[CALLER_INPUT, *INNER]
    )
    assert report.modes == {"run": "blocked: GuardBlocked"}


@pytest.mark.parametrize("build", [guarded_queries, guarded_streams])
def test_guarded_query_engines(build: Any) -> None:
    report = assert_no_leak(build, CANARIES, QUESTION, allow=[CALLER_INPUT, *INNER])
    assert set(report.modes.values()) == {"ran"}


def test_a_query_engines_guard_cleans_the_sources_too() -> None:
    """Of an index that was filled before there was a guard."""
    report = find_leaks(
        lambda: guard_query_engine(query_engine(guarded_llm(), clean=False), overrides=QUIET), CANARIES, QUESTION
    )
    outputs = [leak for leak in report.leaks if leak.place.startswith(("output", "chunk"))]
    assert outputs == []


def test_guarded_retrievers() -> None:
    inner = SummaryIndex.from_documents(documents()).as_retriever()
    assert find_leaks(inner, CANARIES, "Who?").places() == {"retrieve": {"tool"}, "aretrieve": {"tool"}}
    own = Allow("instrumentation * SummaryIndexRetriever*"), Allow("callback retrieve end*"), Allow("*RetrievalEnd*")
    assert_no_leak(guard_retriever(inner, overrides=QUIET), {"tool": CARD}, "Who?", allow=own)


def test_chat_engines_remember_guarded_messages_only() -> None:
    report = assert_no_leak(chat, CANARIES, [QUESTION, "And now?"], allow=[CALLER_INPUT, *INNER])
    assert list(report.modes) == ["chat", "achat", "stream_chat", "astream_chat"]
    assert set(report.modes.values()) == {"ran"}


CHAT_MODES: list[Any] = ["context", "condense_question", "condense_plus_context", "simple"]


def chat_engine(mode: Any, llm: Any, *, clean: bool) -> Any:
    known = guard_documents(documents(), overrides=NO_MODEL) if clean else documents()
    index = VectorStoreIndex.from_documents(known, embed_model=MockEmbedding(embed_dim=4))
    # The default memory opens a database and leaves it open.
    memory = ChatMemoryBuffer.from_defaults(token_limit=4096)
    return guard_chat_engine(index.as_chat_engine(mode, llm=llm, memory=memory), overrides=QUIET)


@pytest.mark.parametrize("mode", CHAT_MODES)
def test_guarded_chat_engines(mode: Any) -> None:
    report = assert_no_leak(
        lambda: chat_engine(mode, guard_llm(PlainLLM.saying(ANSWER), overrides=QUIET), clean=True),
        CANARIES,
        [QUESTION, "And now?"],
        allow=[CALLER_INPUT, *inner_runs("PlainLLM")],
    )
    assert set(report.modes.values()) == {"ran"}


@pytest.mark.parametrize("mode", CHAT_MODES)
def test_a_chat_engines_guard_cleans_answers_sources_and_memory_by_itself(mode: Any) -> None:
    """With a model that nobody guards, and an index that was filled before there was a guard."""
    report = find_leaks(
        lambda: chat_engine(mode, PlainLLM.saying(ANSWER), clean=False), CANARIES, [QUESTION, "And now?"]
    )
    assert set(report.modes.values()) == {"ran"}
    assert [leak for leak in report.leaks if leak.place.startswith(("output", "chunk", "memory"))] == []


def test_an_audit_handler_hides_nothing() -> None:
    """It only observes, as it says: an application leaks with it what it leaks without."""
    assert "observes" in str(GuardAuditEventHandler.__doc__).lower()
    without = find_leaks(agent, CANARIES, QUESTION)
    handler = GuardAuditEventHandler(engine=Engine(), overrides={**QUIET, **blocking("response")})
    get_dispatcher().add_event_handler(handler)
    try:
        beside = find_leaks(agent, CANARIES, QUESTION)
    finally:
        get_dispatcher().event_handlers.remove(handler)
    assert beside.modes == without.modes == {"run": "ran"}
    assert {leak.place for leak in beside.leaks} == {leak.place for leak in without.leaks} != set()


def test_guarded_models() -> None:
    assert_no_leak(guarded_llm, CANARIES, QUESTION, allow=[CALLER_INPUT, *INNER])


def calling_agent() -> Any:
    """Its model puts what it knows into a call."""
    return FunctionAgent(llm=model(f"her of {IBAN}"), tools=[FunctionTool.from_defaults(lookup)])


def handing_over() -> Any:
    script = Script(call(("handoff", {"to_agent": "two", "reason": f"pays from {IBAN}"})), "Done.")
    first = FunctionAgent(name="one", description="d", llm=script.model(), can_handoff_to=["two"])
    return AgentWorkflow(
        agents=[first, FunctionAgent(name="two", description="d", llm=script.model())], root_agent="one"
    )


@pytest.mark.parametrize("action", ["redact", "block"])
@pytest.mark.parametrize("build", [calling_agent, handing_over])
def test_what_agents_put_into_their_calls_is_nowhere(build: Any, action: str) -> None:
    assert find_leaks(build, {"out": IBAN}, "Go on.").places() == {"run": {"out"}}
    policy = {**QUIET, "pre_tool": {**NO_MODEL, "pii": {"sensitive": action}}}
    report = assert_no_leak(lambda: guard_agent(build(), overrides=policy), {"out": IBAN}, "Go on.", allow=INNER)
    assert report.modes == {"run": "ran"}


class Account(BaseModel):
    """An account."""

    iban: str


@pytest.mark.parametrize("structured", [True, False])
def test_programs(structured: bool) -> None:
    def build() -> Any:
        llm: Any = guard_llm(Script(call(("Account", {"iban": IBAN}))).model(), overrides=QUIET)
        if structured:
            return llm.as_structured_llm(Account)
        return SummaryIndex.from_documents(documents()).as_query_engine(llm=llm, output_cls=Account)

    modes = ["chat", "achat"] if structured else ["query", "aquery"]
    report = assert_no_leak(build, {"out": IBAN}, "Which account?", allow=INNER, modes=modes)
    assert set(report.modes.values()) == {"ran"}


def test_only_the_named_models_may_tell_their_answers() -> None:
    report = find_leaks(Script(ANSWER).model(), {"out": IBAN}, "Hi", allow=inner_runs("OpenAI"), modes=["chat"])
    told = {leak.place.split("[")[0].split(".")[0] for leak in report.leaks}
    assert told >= {
        "callback llm end of MockFunctionCallingLLM",
        "instrumentation LLMChatEndEvent of MockFunctionCallingLLM",
    }


def test_guarded_tools() -> None:
    (guarded,) = guard_tools([lookup], overrides=QUIET)
    assert find_leaks(FunctionTool.from_defaults(lookup), CANARIES, {"name": "Ann"}).places().keys() == {
        "call",
        "acall",
    }
    assert_no_leak(guarded, CANARIES, {"name": "Ann"}, allow=INNER)


@pytest.mark.parametrize("first", [True, False])
def test_pipelines(first: bool) -> None:
    """What stands before the guard, caches and all, sees raw text: it belongs first, or its documents are guarded."""
    guard, split = GuardTransform(overrides=NO_MODEL), SentenceSplitter()
    pipeline = IngestionPipeline(transformations=[guard, split] if first else [split, guard])
    given = [Document(text=QUESTION)]
    raw = find_leaks(pipeline, {"in": SSN}, given, allow=[CALLER_INPUT])
    assert bool([leak for leak in raw.leaks if leak.place.startswith("cache")]) is not first
    assert not [leak for leak in raw.leaks if leak.place.startswith("output")]
    fresh = IngestionPipeline(transformations=pipeline.transformations)
    assert_no_leak(fresh, {"in": SSN}, guard_documents(given, overrides=NO_MODEL))
