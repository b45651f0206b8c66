"""Arguments of the wrong kind: the error says which one, what came, and what is valid."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms.mock import MockLLM

import guardrails_plugin.llama_index as ours
from guardrails_plugin import ConfigError
from guardrails_plugin.llama_index import guard_llm, guard_tools


def lookup(name: str) -> str:
    """Look somebody up."""
    return name


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("guard_llm", "gpt", "llm: expected a LlamaIndex LLM, got str"),
        ("guard_llm", MockLLM, "llm: expected a LlamaIndex LLM, got the class MockLLM"),
        ("guard_agent", object(), "agent: expected a FunctionAgent, ReActAgent or AgentWorkflow, got object"),
        ("guard_tools", lookup, r"tools: expected a list of tools or functions \(\[my_tool\]\), got function"),
        ("guard_tools", "lookup", "tools: expected a list of tools"),
        ("guard_tools", [lookup, 3], r"tools\[1\]: expected a LlamaIndex tool or a function, got int"),
        ("guard_memory", [], "memory: expected a LlamaIndex memory, got list"),
        ("guard_retriever", lookup, "retriever: expected a LlamaIndex retriever, got function"),
        ("guard_query_engine", None, "query_engine: expected a LlamaIndex query engine, got NoneType"),
        ("guard_synthesizer", "compact", "synthesizer: expected a LlamaIndex response synthesizer, got str"),
        ("guard_chat_engine", MockLLM(), "chat_engine: expected a LlamaIndex chat engine, got MockLLM"),
    ],
)
def test_what_is_to_be_guarded(name: str, given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        getattr(ours, name)(given)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"engine": "x"}, "engine: expected an Engine, got str"),
        ({"context": {"tenant": "x"}}, "context: expected a Context, got dict"),
        ({"vault": 1}, "vault: expected a Vault, got int"),
        ({"recipes": "rag"}, r"recipes: expected a mapping of stages \(.*prompt.*\) to names of recipes, got str"),
        ({"recipes": {"promt": "rag"}}, "recipes: unknown stage 'promt'; valid: .*llm_prompt, .*prompt, response"),
        ({"overrides": {"promt": {}}}, "overrides: unknown stage 'promt'; valid: "),
        ({"on_block": "drop"}, "unknown on_block 'drop'; valid: raise, refuse"),
    ],
)
def test_how_it_is_to_be_guarded(named: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        guard_llm(MockLLM(), **named)


def test_any_iterable_of_tools_is_a_list_of_tools() -> None:
    assert len(guard_tools((lookup for _ in range(2)), descriptions="trust")) == 2  # type: ignore[arg-type]
