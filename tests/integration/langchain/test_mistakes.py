"""Wrong objects, names and values are refused where they are handed in, by a ConfigError that says what is valid."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from guardrails_plugin import ConfigError
from guardrails_plugin.langchain import (
    Guard,
    GuardDocumentCompressor,
    GuardedChatModel,
    GuardVectorStore,
    guard_model,
    guard_retriever,
)
from tests.integration.langchain.fakes import says

STORE = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: guard_retriever(STORE), r"expected a retriever, got InMemoryVectorStore.*as_retriever\(\)"),  # type: ignore[arg-type]
        (lambda: GuardVectorStore(STORE.as_retriever()), "expected a vector store, got VectorStoreRetriever"),  # type: ignore[arg-type]
        (lambda: guard_model(RunnableLambda(str)), "expected a chat model, got RunnableLambda"),  # type: ignore[arg-type]
        (lambda: guard_model(says("x") | str), "expected a chat model, got RunnableSequence"),  # type: ignore[arg-type]
        (lambda: Guard("promt"), "Guard: stage: unknown stage 'promt'; valid: .*; did you mean 'prompt'?"),
        (lambda: Guard("prompt", on_blok="raise"), "Guard: unknown argument 'on_blok'; .*did you mean 'on_block'?"),
        (lambda: Guard("prompt", on_block="rase"), "Guard: on_block: Input should be 'raise'"),
        (lambda: Guard("prompt", recipe="finance"), "unknown recipe 'finance'; valid: .*financial"),
        (lambda: Guard("prompt", overrides={"pi": {"action": "block"}}), "unknown rule 'pi'; .*did you mean 'pii'?"),
        (lambda: GuardedChatModel(inner=says("x"), prompt="x"), "llm_prompt: expected a Guard, True or False, got str"),
        (lambda: GuardDocumentCompressor(on_blocked="drop"), "unknown argument 'on_blocked'"),
    ],
)
def test_of_arguments(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_variants_of_a_model_are_models() -> None:
    model = says("Fine.")
    variants: list[Any] = [model.bind(stop=["x"]), model.with_retry(), model.with_fallbacks([model])]
    for variant in variants:
        assert guard_model(variant).invoke("hi").text == "Fine."
    assert guard_retriever(STORE.as_retriever().with_config(tags=["x"])).invoke("hi") == []  # type: ignore[arg-type]
