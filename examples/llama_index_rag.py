"""Retrieval-augmented generation with LlamaIndex, guarded at every stage; offline, with a mock model and embedding.

python examples/llama_index_rag.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.node_parser import SentenceSplitter

from guardrails_plugin import Engine
from guardrails_plugin.detectors.examples import expand
from guardrails_plugin.llama_index import (
    GuardNodePostprocessor,
    GuardTransform,
    guard_documents,
    guard_llm,
    guard_query_engine,
)

DATA = Path(__file__).parent / "data"
CARD, SSN = "4111 1111 1111 1111", "536-90-4399"  # a card issuer's test number and an invented SSN
QUESTION = f"My SSN is {SSN}. What happened to my card?"


class Answers:
    """A model that has seen the customer's card somewhere, and tells it."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, messages: Sequence[ChatMessage], **_options: Any) -> ChatMessage:
        """Note the prompt, answer the question."""
        self.prompts.append("\n".join(str(message.content) for message in messages))
        return ChatMessage(role="assistant", content=f"The card {CARD} was declined twice; it works again.")


def ingest(engine: Engine) -> tuple[VectorStoreIndex, list[str]]:
    """The index, and the names of the documents that were left out of it."""
    names = sorted(path.name for path in DATA.iterdir())
    loaded = [
        Document(text=expand((DATA / name).read_text("utf-8")), metadata={"file": name}, doc_id=name) for name in names
    ]
    documents = guard_documents(loaded, engine=engine)  # before a docstore sees them
    steps = [GuardTransform(engine=engine), SentenceSplitter(chunk_size=512)]  # the guard first
    nodes = IngestionPipeline(transformations=steps).run(documents=documents)
    kept = {document.id_ for document in documents}
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=8))
    return index, [name for name in names if name not in kept]


def main() -> int:
    """Fill an index, ask it, and say whether everything is as it should be."""
    engine = Engine()
    index, dropped = ingest(engine)
    answers = Answers()
    model = MockFunctionCallingLLM(response_generator=answers, is_chat_model=True)
    asking = index.as_query_engine(
        llm=guard_llm(model, engine=engine),
        node_postprocessors=[GuardNodePostprocessor(engine=engine)],  # for what was indexed before there was a guard
        similarity_top_k=8,
    )
    answer = guard_query_engine(asking, engine=engine).query(QUESTION)
    sources = "\n".join(scored.node.get_content() for scored in answer.source_nodes)

    print("left out: ", ", ".join(dropped))
    print("question: ", QUESTION)
    print("answer:   ", answer)
    checks = [
        ("the poisoned page is not in the index", dropped == ["web_page.md"]),
        ("the model saw neither the SSN nor the card", not any(raw in answers.prompts[0] for raw in (SSN, CARD))),
        ("the answer does not tell the card", str(answer).startswith("The card <CREDIT_CARD> was declined")),
        ("nor do its sources", CARD not in sources and SSN not in sources),
    ]
    for claim, holds in checks:
        print("  ok  " if holds else "FAIL  ", claim)
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
