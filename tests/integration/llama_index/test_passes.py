"""What guards must not do twice, or at all: a pass for every item of what comes together, a look at every number."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import NodeWithScore, TextNode

from guardrails_plugin import Engine
from guardrails_plugin.llama_index import GuardNodePostprocessor, guard_mcp_client, guard_memory, guard_synthesizer
from tests.integration.llama_index.scripted import CARD, QUIET, PlainLLM
from tests.integration.llama_index.test_mcp import Client
from tests.integration.llama_index.test_synthesizer import synthesizer
from tests.strategies import NO_MODEL


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Stage and number of contents of every pass of an engine."""
    seen: list[tuple[str, int]] = []
    own = Engine.check_batch

    def noted(engine: Engine, contents: Any, **fields: Any) -> Any:
        seen.append((str(fields["stage"]), len(contents)))
        return own(engine, contents, **fields)

    monkeypatch.setattr(Engine, "check_batch", noted)
    return seen


def test_messages_are_remembered_in_order_after_one_pass_a_stage(passes: list[tuple[str, int]]) -> None:
    roles = [MessageRole.SYSTEM, MessageRole.USER, MessageRole.TOOL, MessageRole.ASSISTANT, MessageRole.USER]
    memory = guard_memory(ChatMemoryBuffer.from_defaults(tokenizer_fn=str.split), overrides=QUIET)
    memory.put_messages([ChatMessage(role=role, content=f"{place}: {CARD}") for place, role in enumerate(roles)])
    hidden = ["0: " + CARD, *[f"{place}: <CREDIT_CARD>" for place in range(1, 5)]]
    assert [(message.role, message.content) for message in memory.get_all()] == list(zip(roles, hidden, strict=True))
    assert passes == [("prompt", 2), ("post_tool", 1), ("response", 1)]


def test_texts_of_a_synthesizer_are_one_pass(passes: list[tuple[str, int]]) -> None:
    llm = PlainLLM.saying("Fine.")
    guard_synthesizer(synthesizer(llm), overrides=QUIET).get_response("Who pays?", ["Ann.", f"With {CARD}.", "Bob."])
    assert ("post_tool", 3) in passes
    assert sum(stage == "post_tool" for stage, _ in passes) == 2  # and what else the template is filled with


def test_listed_tools_are_one_pass(passes: list[tuple[str, int]]) -> None:
    listed = asyncio.run(guard_mcp_client(Client(), overrides=QUIET).list_tools())
    assert [tool.name for tool in listed.tools] == ["card", "bad", "worse"]
    assert passes == [("post_tool", 3)]


def test_the_numbers_of_an_embedding_are_not_looked_at() -> None:
    class Number(float):
        def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
            raise AssertionError("copied one by one")

    nodes = [TextNode(text=text, embedding=None) for text in (CARD, "fine")]
    vector = nodes[0].embedding = nodes[1].embedding = [Number(0.5)]
    guarded = GuardNodePostprocessor(overrides=NO_MODEL).postprocess_nodes([NodeWithScore(node=node) for node in nodes])
    assert [found.node.get_content() for found in guarded] == ["<CREDIT_CARD>", "fine"]
    assert [found.node.embedding for found in guarded] == [None, vector]
    assert guarded[1].node.embedding is not vector
