"""`assert_no_leak`: what it reports, what it refuses, and that it fails when it should."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from llama_index.core import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import BaseNode, Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from guardrails_plugin.errors import ConfigError, GuardBlocked
from guardrails_plugin.testing import CALLER_INPUT, Allow, assert_no_leak, find_leaks
from guardrails_plugin.testing.langchain import ScriptedChatModel

SSN = "536-90-4399"
CANARY = {"ssn": SSN}


def clean(value: str) -> str:
    return value.replace(SSN, "<SSN>")


def test_a_clean_application_passes_and_its_own_input_can_be_allowed() -> None:
    report = assert_no_leak(RunnableLambda(clean), CANARY, f"My SSN is {SSN}", allow=[CALLER_INPUT])
    assert report.leaks == ()
    assert {leak.canary for leak in report.allowed} == {"ssn"}
    assert report.modes["invoke"] == "ran"
    assert report.modes["events v3"].startswith("unsupported")


def test_the_message_names_mode_place_and_label_but_never_the_value() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_no_leak(RunnableLambda(str), CANARY, f"My SSN is {SSN}", modes=["invoke"], allow=[CALLER_INPUT])
    message = str(failed.value)
    assert "ssn at output (invoke)" in message
    assert "ssn at trace chain str outputs.output (invoke)" in message
    assert SSN not in message
    assert SSN not in repr(failed.value.__traceback__.tb_frame.f_locals.get("report", ""))  # type: ignore[union-attr]


def test_a_canary_that_is_spread_over_chunks_is_found() -> None:
    def spelled(_: Any) -> Any:
        yield from SSN

    report = find_leaks(RunnableGenerator(spelled), CANARY, "go", modes=["stream", "astream"])
    assert ("chunk joined", "stream") in {(leak.place, leak.mode) for leak in report.leaks}
    assert report.modes["astream"] == "unsupported: not implemented"  # a sync generator


def test_errors_are_searched_and_those_that_are_no_guards_fail_the_test() -> None:
    def broken(value: str) -> str:
        raise ValueError(f"cannot read {value}")

    report = find_leaks(RunnableLambda(broken), CANARY, SSN, modes=["invoke"])
    assert report.failures == {"invoke": "failed: ValueError"}
    assert any(leak.place.startswith("error") for leak in report.leaks)
    with pytest.raises(AssertionError, match="invoke: failed: ZeroDivisionError"):
        assert_no_leak(RunnableLambda(lambda _: 1 // 0), CANARY, "clean", modes=["invoke"])


def test_a_guards_refusal_is_no_failure() -> None:
    def refuse(_: str) -> str:
        raise GuardBlocked("prompt", ("pii: US_SSN",), "1")

    report = assert_no_leak(RunnableLambda(refuse), CANARY, "clean", modes=["invoke"])
    assert report.modes == {"invoke": "blocked: GuardBlocked"}


def test_a_test_in_which_nothing_ran_fails() -> None:
    with pytest.raises(AssertionError, match="nothing ran"):
        assert_no_leak(RunnableLambda(clean), CANARY, "clean", modes=["events v3"])


def test_log_records_and_further_places_are_searched() -> None:
    history: list[str] = []

    def careless(value: str) -> str:
        logging.getLogger("shop").warning("got %s", value)
        history.append(value)
        return "ok"

    report = find_leaks(
        RunnableLambda(careless),
        CANARY,
        SSN,
        allow=[CALLER_INPUT],
        modes=["invoke"],
        places={"history": lambda: history},
    )
    assert {leak.place for leak in report.leaks} == {"log shop", "memory history[]"}


def test_a_factory_makes_an_application_for_every_mode() -> None:
    made: list[ScriptedChatModel] = []

    def build() -> ScriptedChatModel:
        made.append(ScriptedChatModel(replies=["first", f"second {SSN}"]))
        return made[-1]

    assert_no_leak(build, CANARY, "hi", modes=["invoke", "ainvoke", "stream"])
    assert len({id(model) for model in made}) == len(made) > 3


def test_it_runs_inside_an_event_loop_too() -> None:
    async def test() -> None:
        assert_no_leak(RunnableLambda(clean), CANARY, SSN, allow=[CALLER_INPUT], modes=["ainvoke", "astream"])

    asyncio.run(test())


def test_allowances_are_exact_and_unneeded_ones_are_told() -> None:
    elsewhere = Allow("output", mode="batch")
    report = find_leaks(RunnableLambda(str), CANARY, SSN, modes=["invoke"], allow=[CALLER_INPUT, elsewhere])
    assert any(leak.place == "output" for leak in report.leaks)
    assert report.unused == (elsewhere,)
    assert Allow("a[].b*").covers(report.leaks[0]) is False


@pytest.mark.parametrize(
    ("canaries", "options", "said"),
    [
        ({}, {}, "at least one value"),
        ({"pin": "1234"}, {}, "'pin': expected a string of at least 6"),
        ({f"ssn {SSN}": SSN}, {}, "a label holds its own value"),
        (SSN, {}, "got one string"),
        (CANARY, {"modes": ["sing"]}, "unknown mode 'sing'; valid: "),
    ],
)
def test_bad_input_is_refused(canaries: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_leaks(RunnableLambda(clean), canaries, "x", **options)


def test_an_application_of_neither_framework_is_refused() -> None:
    with pytest.raises(ConfigError, match="dict is neither a LangChain Runnable nor a LlamaIndex engine"):
        find_leaks({}, CANARY, "x")


def test_the_store_of_a_graph_is_searched() -> None:
    def keeps(state: MessagesState, *, store: BaseStore) -> Any:
        store.put(("notes",), "1", {"text": f"SSN {SSN}"})
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("keeps", keeps)
    graph.add_edge(START, "keeps")
    app = graph.compile(store=InMemoryStore())
    report = find_leaks(app, CANARY, {"messages": [("user", "hi")]}, modes=["invoke"])
    assert {leak.place.split("[")[0] for leak in report.leaks} == {"store"}


@pytest.mark.filterwarnings("ignore:docstore_strategy")
def test_docstores_and_vector_stores_of_a_pipeline_are_searched() -> None:
    class Vectors(SimpleVectorStore):
        """Keeps texts, too, as stores of vectors usually do."""

        def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
            made = super().add(nodes, **kwargs)
            self.data.metadata_dict.update({node.node_id: {"text": node.get_content()} for node in nodes})
            return made

    pipeline = IngestionPipeline(
        transformations=[MockEmbedding(embed_dim=4)],
        docstore=SimpleDocumentStore(),
        vector_store=Vectors(),
        disable_cache=True,
    )
    report = find_leaks(pipeline, CANARY, [Document(text=f"SSN {SSN}")], modes=["run"])
    places = {leak.place.split("[")[0].split(".")[0] for leak in report.leaks}
    assert places >= {"docstore", "vector store"}
