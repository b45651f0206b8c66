"""Wrong objects, names and values are refused where they are handed in, by an error that says what is valid."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.llms import MockLLM
from llama_index.core.schema import NodeWithScore, TextNode

from guardrails_plugin import ConfigError
from guardrails_plugin.llama_index import GuardNodePostprocessor, GuardTransform, guard_documents, guard_llm

NODE: Any = TextNode(text="x")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: guard_documents(Document(text="x")), r"documents: expected a list of documents, got Document"),  # type: ignore[arg-type]
        (lambda: guard_documents(["text"]), r"documents\[0\]: expected a LlamaIndex document or node, got str"),  # type: ignore[list-item]
        (lambda: GuardTransform()(NODE), "nodes: expected a list of nodes, got TextNode"),
        (lambda: GuardTransform()([NodeWithScore(node=NODE)]), r"nodes\[0\]: .* got NodeWithScore"),  # type: ignore[list-item]
        (
            lambda: GuardNodePostprocessor().postprocess_nodes([NODE]),
            r"nodes\[0\]: expected .*NodeWithScore, got TextN",
        ),
        (lambda: GuardTransform(stage="prompt"), "GuardTransform: unknown argument 'stage'; valid: "),
        (lambda: GuardTransform(recipe="finance"), "unknown recipe 'finance'; .*financial"),
        (lambda: GuardNodePostprocessor(recipe="finance"), "unknown recipe 'finance'; .*financial"),
        (lambda: guard_llm(MockLLM(), recipes={"response": "fin"}), "unknown recipe 'fin'; valid: "),
        (lambda: guard_llm(MockLLM(), overrides={"response": {"pi": {}}}), "unknown rule 'pi'; .*did you mean 'pii'"),
    ],
)
def test_of_arguments(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
