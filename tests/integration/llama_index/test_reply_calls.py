"""`guard_llm(pre_tool=True)`: the tool calls in a reply are judged where no agent does it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.tools import FunctionTool

from guardrails_plugin import GuardBlocked
from guardrails_plugin.llama_index import guard_agent, guard_llm
from tests.integration.llama_index.scripted import AGENTS_WARN, CARD, QUIET, Script, blocking, call, leaks
from tests.integration.llama_index.test_agent import Run
from tests.strategies import NO_MODEL

pytestmark = AGENTS_WARN

REPLACING = {**QUIET, "pre_tool": {**NO_MODEL, "pii": {"sensitive": "replace"}}}


def send(body: str = "") -> str:
    """Sends."""
    return "sent"


TOOLS = [FunctionTool.from_defaults(send)]


def model(**options: Any) -> Any:
    return guard_llm(Script(call(("send", {"body": f"card {CARD}"}))).model(), pre_tool=True, **options)


def copied(llm: Any) -> Any:
    """As `pickle` would make it; a script does not travel."""
    make, given = llm.__reduce__()
    return make(*given)


def whole(llm: Any) -> Any:
    return llm.chat_with_tools(TOOLS, "Hi")


def awhole(llm: Any) -> Any:
    return asyncio.run(llm.achat_with_tools(TOOLS, "Hi"))


def streamed(llm: Any) -> Any:
    return list(llm.stream_chat_with_tools(TOOLS, "Hi"))[-1]


def astreamed(llm: Any) -> Any:
    async def last() -> Any:
        return [chunk async for chunk in await llm.astream_chat_with_tools(TOOLS, "Hi")][-1]

    return asyncio.run(last())


@pytest.mark.parametrize("ask", [whole, awhole, streamed, astreamed])
class TestReplies:
    def test_arguments_come_guarded(self, ask: Any) -> None:
        for llm in (model(overrides=REPLACING), copied(model(overrides=REPLACING))):
            (selected,) = llm.get_tool_calls_from_response(ask(llm))
            assert selected.tool_kwargs == {"body": "card <CREDIT_CARD>"}

    def test_a_blocked_call_refuses_the_reply(self, ask: Any) -> None:
        with pytest.raises(GuardBlocked, match="pre_tool"):
            ask(model(overrides=blocking("pre_tool")))
        reply = ask(model(overrides=blocking("pre_tool"), on_block="refuse", refusal="No."))
        assert reply.message.content == "No."
        assert reply.additional_kwargs["guard"]["stage"] == "pre_tool"
        assert not leaks(reply)

    def test_without_it_they_pass(self, ask: Any) -> None:
        llm: Any = guard_llm(Script(call(("send", {"body": CARD}))).model(), overrides=REPLACING)
        assert llm.get_tool_calls_from_response(ask(llm))[0].tool_kwargs == {"body": CARD}
        again: Any = guard_llm(llm, pre_tool=True, overrides=REPLACING)
        assert again.get_tool_calls_from_response(ask(again))[0].tool_kwargs == {"body": "<CREDIT_CARD>"}


def test_an_agents_tools_are_told_instead() -> None:
    llm = guard_llm(
        Script(call(("send", {"body": CARD})), "done").model(), pre_tool=True, overrides=blocking("pre_tool")
    )
    agent = guard_agent(FunctionAgent(tools=[send], llm=llm), overrides=blocking("pre_tool"))
    run = Run(agent, user_msg="Hi")
    results = [event.tool_output.content for event in run.events if isinstance(event, ToolCallResult)]
    assert results == ["The tool call was blocked by policy (pii: CREDIT_CARD)."]
    assert not leaks(*run.all())
