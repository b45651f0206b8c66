"""What `GuardMiddleware` says to options that it does not have, and what it does not see of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.config import get_stream_writer

from guardrails_plugin import ConfigError, Engine, Keyring
from guardrails_plugin.langchain import GuardMiddleware
from guardrails_plugin.langchain.tool_node import tool_node_wrappers
from tests.integration.langchain.fakes import RAW, SAID, calling, says
from tests.integration.langchain.test_middleware import middleware


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_block": "block"}, "unknown on_block 'block'; valid: raise, refuse"),
        ({"on_block": "review"}, "unknown on_block 'review'; valid: raise, refuse"),
        ({"trusted_tools": {"send": "US_SSN"}}, r"trusted_tools\['send'\]: expected a collection of entity types"),
        ({"trusted_tools": {"send": 1}}, r"trusted_tools\['send'\]: expected a collection of entity types"),
        ({"review_tools": "send"}, "review_tools: expected a collection of tool names"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_valid(options: Any, said: str) -> None:
    for make in (GuardMiddleware, tool_node_wrappers):
        with pytest.raises(ConfigError, match=said):
            make(**options)


def test_trust_needs_keys_and_types_that_something_finds() -> None:
    class Tickets:
        """A detector of the application's own."""

        name = "tickets"
        entity_types = frozenset({"TICKET"})
        categories: Mapping[str, frozenset[str]] = MappingProxyType({})

        def detect(self, text: Any, context: Any) -> list[Any]:
            return []

    engine = Engine(keyring=Keyring.generate(), detectors={"tickets": Tickets()})
    off: Any = dict.fromkeys(("pre_plan", "llm_prompt", "response", "post_tool"), False)
    for make, others in ((GuardMiddleware, off), (tool_node_wrappers, {"post_tool": False})):
        with pytest.raises(ConfigError, match="trusted_tools needs the keyring that encrypted"):
            make(trusted_tools={"pay": {"US_SSN"}}, **others)
        with pytest.raises(ConfigError, match=r"trusted_tools\['pay'\]: unknown entity type 'US_SSM'.*'US_SSN'"):
            make(engine=engine, trusted_tools={"pay": {"us_ssm"}}, **others)
        with pytest.raises(ConfigError, match="trusted_tools needs"):
            make(engine=engine, trusted_tools={"pay": {"US_SSN"}}, **others, pre_tool=False)
        make(engine=engine, trusted_tools={"pay": {"us_ssn", "TICKET"}}, **others)


def test_an_answer_cannot_be_restored_without_keys() -> None:
    with pytest.raises(ConfigError, match="restore_answer needs the keyring that encrypted"):
        GuardMiddleware(restore_answer=True)


class Notes(AgentMiddleware[Any, Any, Any]):
    """A state key of its own."""

    class Own(AgentState[Any]):
        notes: str

    state_schema = Own


def test_custom_streams_and_other_state_keys_are_not_its_to_see() -> None:
    """As its docstring says: LangGraph asks no middleware about them."""

    @tool
    def lookup(name: str) -> str:
        """Look somebody up."""
        get_stream_writer()({"progress": SAID})
        return SAID

    app = create_agent(says(calling("lookup", name="A"), "done"), [lookup], middleware=[middleware(), Notes()])
    value: Any = {"messages": [HumanMessage("hi")], "notes": SAID}
    assert list(app.stream(value, stream_mode="custom")) == [{"progress": SAID}]
    result = app.invoke(value)
    assert result["notes"] == SAID
    assert RAW not in repr(result["messages"])
