"""What stands beside a message's content: names, and what a provider says about an answer."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

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

    @pytest.mark.parametrize("kind", [HumanMessage, SystemMessage, partial(ToolMessage, tool_call_id="1")])
    def test_of_all_messages_not_only_of_answers(self, kind: Any) -> None:
        message = kind("hi", response_metadata={**FACTS, "row": {"text": SAID, "score": 5191566416}})
        clean = guard("post_tool").invoke(message).response_metadata
        assert clean == {**FACTS, "row": {"text": CLEAN, "score": 5191566416}}


@pytest.mark.parametrize("kind", [AIMessage, AIMessageChunk])
@pytest.mark.parametrize("stage", ["response", "llm_prompt"])
def test_calls_that_are_none_are_guarded_with_what_is_wrong_about_them(stage: str, kind: Any) -> None:
    """At every stage: no tool is called with them, so no pre_tool guard ever sees them."""
    bad: Any = {"name": "send", "args": f'{{"body": "{SAID}', "id": "1", "error": SAID, "type": "invalid_tool_call"}
    good: Any = {"name": "send", "args": {"body": "x"}, "id": "2", "type": "tool_call"}
    clean = guard(stage).invoke(kind("", invalid_tool_calls=[bad], tool_calls=[good]))
    assert RAW not in repr(clean)
    assert clean.invalid_tool_calls[0]["error"] == CLEAN
    assert clean.tool_calls == [good]


def test_what_was_computed_of_an_object_is_computed_anew() -> None:
    class Person(BaseModel):
        ssn: str

        @cached_property
        def full(self) -> str:
            return f"It says: {self.ssn}"

    person = Person(ssn=SAID)
    assert RAW in person.full
    clean = guard("response").invoke(person)
    assert RAW not in repr(vars(clean))
    assert clean.full == f"It says: {CLEAN}"
