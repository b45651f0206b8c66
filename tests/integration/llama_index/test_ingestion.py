"""Ingestion and retrieval guards with the real llama-index-core."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    Document,
    IndexNode,
    MetadataMode,
    NodeWithScore,
    QueryBundle,
    TextNode,
    TransformComponent,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from guardrails_plugin import ConfigError, Engine, Keyring
from guardrails_plugin.llama_index import GuardNodePostprocessor, GuardTransform, guard_documents
from tests.strategies import NO_MODEL

BLOCK = {**NO_MODEL, "pii": {"sensitive": "block"}}
RAW = "536-90-4399"


def documents() -> list[Document]:
    return [
        Document(text=f"His SSN is {RAW}.", metadata={"author": "Ann", "ssn": RAW}, doc_id="a"),
        Document(text="Nothing in here.", metadata={"page": 3}, doc_id="b"),
    ]


def test_text_and_metadata_are_cleaned_and_the_input_is_not_touched() -> None:
    own = documents()
    nodes = IngestionPipeline(transformations=[GuardTransform(overrides=NO_MODEL)]).run(documents=own)
    assert [node.get_content() for node in nodes] == ["His SSN is <US_SSN>.", "Nothing in here."]
    assert nodes[0].metadata["ssn"] == "<US_SSN>"
    assert nodes[1].metadata["page"] == 3
    assert own == documents()


def test_the_mark_is_seen_by_neither_model_nor_embedding() -> None:
    (node, _) = GuardTransform(overrides=NO_MODEL)(documents())
    assert node.metadata["guard"] == "transform"
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        assert "guard" not in node.get_content(metadata_mode=mode)


def test_verdicts_of_several_guards_are_all_told() -> None:
    first = GuardTransform(overrides=NO_MODEL)
    nodes = [Document(text=f"SSN {RAW}"), Document(text="fine")]
    cleaned, fine = first(GuardTransform(overrides=NO_MODEL)(first(nodes)))
    assert (cleaned.metadata["guard"], cleaned.metadata["guard_verdicts"]) == ("transform", "transform, allow, allow")
    assert (fine.metadata["guard"], fine.metadata["guard_verdicts"]) == ("allow", "allow, allow, allow")
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        assert "guard" not in fine.get_content(metadata_mode=mode)


def test_what_an_index_node_stands_for_is_guarded_and_vectors_of_raw_text_are_left_out() -> None:
    raw = TextNode(text=f"SSN {RAW}", metadata={"owner": RAW})
    nodes = [
        IndexNode(text="x", index_id="i", obj=raw, embedding=[0.5]),
        TextNode(text=f"SSN {RAW}", embedding=[0.5]),
        TextNode(text="fine", embedding=[0.5]),
    ]
    pointer, cleaned, same = GuardTransform(overrides=NO_MODEL)(nodes)
    assert isinstance(pointer, IndexNode)
    assert (pointer.obj.text, pointer.obj.metadata) == ("SSN <US_SSN>", {"owner": "<US_SSN>"})
    assert [node.embedding for node in (pointer, cleaned, same)] == [None, None, [0.5]]
    assert (raw.text, nodes[1].embedding) == (f"SSN {RAW}", [0.5])


def test_blocked_documents_are_dropped_and_accounted_for() -> None:
    transform = GuardTransform(overrides=BLOCK)
    nodes = transform(documents())
    assert [node.get_content() for node in nodes] == ["Nothing in here."]
    assert [result.reasons for result in transform.dropped] == [("pii: US_SSN",)]


def test_async_and_later_steps_work() -> None:
    pipeline = IngestionPipeline(
        transformations=[GuardTransform(overrides=NO_MODEL), SentenceSplitter(chunk_size=64, chunk_overlap=8)]
    )
    nodes = asyncio.run(pipeline.arun(documents=documents()))
    assert RAW not in "".join(node.get_content(MetadataMode.ALL) for node in nodes)


def test_a_changed_policy_is_never_served_from_the_cache() -> None:
    cache = IngestionCache()
    pipelines = [
        IngestionPipeline(transformations=[GuardTransform(overrides=changes)], cache=cache)
        for changes in ({**NO_MODEL, "pii": {"disabled": True}}, NO_MODEL)
    ]
    open_, closed = (pipeline.run(documents=documents()[:1])[0].get_content() for pipeline in pipelines)
    assert RAW in open_
    assert RAW not in closed


def test_blocked_documents_are_left_out_before_anything_sees_them() -> None:
    kept = guard_documents(documents(), overrides=BLOCK)
    assert [document.id_ for document in kept] == ["b"]


@pytest.mark.parametrize("guarded", [False, True])
def test_a_docstore_keeps_the_documents_it_is_handed_whatever_stands_first_in_the_pipeline(guarded: bool) -> None:
    """So hand it guarded ones."""
    docstore: Any = SimpleDocumentStore()
    vectors = SimpleVectorStore()
    transformations: list[TransformComponent] = [GuardTransform(overrides=NO_MODEL), MockEmbedding(embed_dim=4)]
    pipeline = IngestionPipeline(transformations=transformations, docstore=docstore, vector_store=vectors)
    nodes = pipeline.run(documents=guard_documents(documents(), overrides=NO_MODEL) if guarded else documents())
    assert len(docstore.docs) == len(nodes) == len(vectors.data.embedding_dict) == 2
    assert (RAW in repr(docstore.to_dict())) is not guarded
    assert RAW not in repr([node.to_dict() for node in nodes])
    assert RAW not in repr(vectors.to_dict())


@pytest.mark.parametrize("guarded", [False, True])
def test_nodes_that_are_inserted_pass_no_transformation(guarded: bool) -> None:
    """So guard them first; documents that are inserted do pass."""
    guard = GuardTransform(overrides=NO_MODEL)
    index = VectorStoreIndex(nodes=[], embed_model=MockEmbedding(embed_dim=4), transformations=[guard])
    index.insert(documents()[0])
    docstore: Any = index.docstore
    assert RAW not in repr(docstore.to_dict())
    nodes = [TextNode(text=f"SSN {RAW}", metadata={"owner": RAW})]
    index.insert_nodes(guard(nodes) if guarded else nodes)
    assert len(docstore.docs) == 2
    assert (RAW in repr(docstore.to_dict())) is not guarded


def test_retrieved_nodes_are_dropped_or_cleaned_and_keep_their_scores() -> None:
    nodes = [NodeWithScore(node=TextNode(text=d.text, metadata=d.metadata), score=0.5) for d in documents()]
    cleaned = GuardNodePostprocessor(overrides=NO_MODEL).postprocess_nodes(nodes, QueryBundle("who?"))
    assert [(n.node.get_content(), n.score) for n in cleaned] == [
        ("His SSN is <US_SSN>.", 0.5),
        ("Nothing in here.", 0.5),
    ]
    blocked = GuardNodePostprocessor(overrides=BLOCK).postprocess_nodes(nodes)
    assert [n.node.get_content() for n in blocked] == ["Nothing in here."]


def test_transforms_travel_to_worker_processes() -> None:
    transform = pickle.loads(pickle.dumps(GuardTransform(overrides=NO_MODEL)))
    assert RAW not in transform(documents())[0].get_content()


def test_misspelt_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="recipee"):
        GuardTransform(recipee="x")


def test_an_engine_of_ones_own_encrypts() -> None:
    engine = Engine(keyring=Keyring.generate())
    changes = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
    (node, _) = GuardTransform(engine=engine, overrides=changes)(documents())
    assert RAW not in node.get_content()
    assert "<" not in node.get_content()
