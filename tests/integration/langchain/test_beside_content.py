"""What stands beside a message's content: names, and what a provider says about an answer."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage

from tests.integration.langchain.fakes import CLEAN, RAW, SAID, guard

FACTS: dict[str, Any] = {"model_name": "gpt-4o", "created": 5191566416, "guard": {"stage": "response"}}


def test_names_of_speakers_are_guarded_names_of_tools_are_kept() -> None:
    said = guard("llm_prompt").invoke([HumanMessage("hi", name=SAID), AIMessage("ho", name="agent")])
    assert [message.name for message in said] == [CLEAN, "agent"]
    tool = ToolMessage("x", tool_call_id="1", name="find_536-90-4399")
    assert guard("post_tool").invoke(tool).name == tool.name


class TestResponseMetadata:
    def test_its_texts_are_guarded_its_facts_and_numbers_kept(self) -> None:
        quoted = {"citations": [{"text": SAID, "score": 5191566416}], "blocked": False, "object": object()}
        reply = AIMessage("hi", response_metadata={**FACTS, **quoted, "other": object()})
        clean = guard("response").invoke(reply).response_metadata
        assert clean == {
            **FACTS,
            "citations": [{"text": CLEAN, "score": 5191566416}],
            "blocked": False,
            "object": quoted["object"],
            "other": None,
        }
        assert RAW in repr(reply)

    def test_in_a_stream_too(self) -> None:
        chunks = [
            AIMessageChunk(content="Hi ", id="1"),
            AIMessageChunk(content="there.", id="1", response_metadata={"citations": [SAID]}),
            AIMessageChunk(content="", id="1", response_metadata=FACTS),
        ]
        given = list(guard("response").transform(iter(chunks)))
        assert RAW not in repr(given)
        whole: BaseMessage = sum(given[1:], given[0])
        assert (whole.text, whole.response_metadata["citations"]) == ("Hi there.", [CLEAN])
        assert whole.response_metadata["model_name"] == "gpt-4o"
