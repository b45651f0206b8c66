"""Wrong objects, names and values are refused where they are handed in, by a ConfigError that says what is valid."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from guardrails_plugin import ConfigError
from guardrails_plugin.langchain import (
    Guard,
    GuardCallbackHandler,
    GuardChatMessageHistory,
    GuardDocumentCompressor,
    GuardDocumentTransformer,
    GuardedChatModel,
    GuardMCPInterceptor,
    GuardMiddleware,
    GuardVectorStore,
    guard_model,
    guard_retriever,
    guard_tools,
    tool_node_wrappers,
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


@pytest.mark.filterwarnings("ignore::langchain_core._api.deprecation.LangChainDeprecationWarning")
@pytest.mark.parametrize(
    ("stage", "make"),
    [
        ("response", lambda own: guard_model(says("x"), response=own)),
        ("response", lambda own: GuardedChatModel(inner=says("x"), response=own)),
        ("response", lambda own: GuardMiddleware(response=own)),
        ("response", lambda own: GuardCallbackHandler(response=own)),
        ("response", lambda own: GuardChatMessageHistory(InMemoryChatMessageHistory(), response=own)),
        ("ingestion", lambda own: GuardDocumentTransformer(ingestion=own)),
        ("ingestion", lambda own: GuardVectorStore(STORE, ingestion=own)),
        ("post_tool", lambda own: GuardDocumentCompressor(post_tool=own)),
        ("post_tool", lambda own: guard_retriever(STORE.as_retriever(), post_tool=own)),
        ("post_tool", lambda own: guard_tools([], post_tool=own)),
        ("pre_tool", lambda own: tool_node_wrappers(pre_tool=own)),
        ("pre_tool", lambda own: GuardMCPInterceptor(pre_tool=own)),
    ],
)
def test_what_becomes_of_a_block_is_not_asked_of_a_guard_behind_another_door(stage: str, make: Any) -> None:
    for fields, said in (({"on_block": "review"}, r"on_block \('review'\)"), ({"refusal": "No."}, "refusal")):
        own: dict[str, Any] = fields
        with pytest.raises(ConfigError, match=f"{stage}: {said} of this Guard would do nothing.*{next(iter(own))}="):
            make(Guard(stage, **own))
    make(Guard(stage, on_block="raise"))


def test_variants_of_a_model_are_models() -> None:
    model = says("Fine.")
    variants: list[Any] = [model.bind(stop=["x"]), model.with_retry(), model.with_fallbacks([model])]
    for variant in variants:
        assert guard_model(variant).invoke("hi").text == "Fine."
    assert guard_retriever(STORE.as_retriever().with_config(tags=["x"])).invoke("hi") == []  # type: ignore[arg-type]
