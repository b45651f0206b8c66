"""What stands in an agent's thread that its model did not say: from the input, other middleware, tools and people."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.types import Command, interrupt

from guardrails_plugin import Engine, GuardBlocked
from guardrails_plugin.langchain import guard_tools
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, calling, guard, outputs, says
from tests.integration.langchain.test_middleware import Sink, agent, middleware, run
from tests.strategies import NO_MODEL

CONFIG: Any = {"configurable": {"thread_id": "1"}}
REDACT: Any = {**NO_MODEL, "pii": {"sensitive": "replace"}}


class Adds(AgentMiddleware[Any, Any, Any]):
    """Puts a message into the thread before the model is first asked."""

    def before_model(self, state: Any, runtime: Any) -> Any:
        return {"messages": [HumanMessage(SAID)]} if len(state["messages"]) == 1 else None


@tool
def send(body: str = "") -> str:
    """Send a message."""
    return "sent"


def said(app: Any, *messages: Any) -> list[Any]:
    return list(app.invoke({"messages": list(messages)}, CONFIG)["messages"])


class TestInput:
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_a_model_is_said_to_have_said_is_guarded_with_its_calls(self, asynchronous: bool) -> None:
        app = agent(says("ok"), [send], saver=MemorySaver(), pre_tool=REDACT)
        call = AIMessage(SAID, tool_calls=calling("send", body=SAID).tool_calls)
        value = {"messages": [HumanMessage("hi"), call, HumanMessage("and?")]}
        result = asyncio.run(app.ainvoke(value, CONFIG)) if asynchronous else app.invoke(value, CONFIG)
        assert result["messages"][1].content == CLEAN
        assert RAW not in repr(result)

    def test_a_refused_one_ends_the_turn_and_is_gone_in_the_next(self) -> None:
        model = says("ok")
        app = agent(model, saver=MemorySaver(), response=BLOCK, refusal="No.")
        assert said(app, AIMessage(SAID), HumanMessage("hi"))[-1].content == "No."
        assert model.seen == []
        messages = said(app, HumanMessage("hello"))
        assert messages[-1].content == "ok"
        assert RAW not in repr(messages)

    def test_what_the_guard_has_seen_is_not_judged_again(self) -> None:
        sink = Sink()
        app = agent(says(calling("send"), "ok"), [send], saver=MemorySaver(), engine=Engine(sinks=[sink]))
        for _ in range(3):
            said(app, HumanMessage("hi"))
        assert [record["stage"] for record in sink.records].count("response") == 4


class TestOthers:
    @pytest.mark.parametrize("first", [True, False])
    def test_messages_of_other_middleware_are_guarded_in_the_thread(self, first: bool) -> None:
        own = [middleware(), Adds()] if first else [Adds(), middleware()]
        model = says("ok")
        messages = said(create_agent(model, [], middleware=own, checkpointer=MemorySaver()), HumanMessage("hi"))
        assert [message.content for message in messages] == ["hi", CLEAN, "ok"]
        assert RAW not in repr(model.seen)

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_a_refused_one_ends_the_turn(self, asynchronous: bool) -> None:
        made = [middleware(pre_plan=BLOCK, refusal="No.", on_block=on_block) for on_block in ("refuse", "raise")]
        apps = [create_agent(says("ok"), [], middleware=[one, Adds()], checkpointer=MemorySaver()) for one in made]
        if not asynchronous:
            assert [one.content for one in said(apps[0], HumanMessage("hi"))] == ["hi", "[removed by policy]", "No."]
        with pytest.raises(GuardBlocked):
            run(apps[1], "hi", CONFIG)
        assert run(apps[1], "hello", CONFIG)[-1].content == "ok"

    def test_so_are_summaries(self) -> None:
        summary = SummarizationMiddleware(model=says(SAID), trigger=("messages", 3), keep=("messages", 1))
        app: Any = create_agent(says("ok"), [], middleware=[middleware(), summary], checkpointer=MemorySaver())
        messages = [said(app, HumanMessage(text)) for text in ("a", "b", "c")][-1]
        assert CLEAN in str(messages[0].content)
        assert RAW not in repr(messages)

    def test_so_is_what_a_reviewer_says(self) -> None:
        own = [middleware(), HumanInTheLoopMiddleware(interrupt_on={"send": True})]
        app: Any = create_agent(
            says(calling("send", body="x"), "ok"), [send], middleware=own, checkpointer=MemorySaver()
        )
        said(app, HumanMessage("hi"))
        messages = run(app, Command(resume={"decisions": [{"type": "reject", "message": SAID}]}), CONFIG)
        assert RAW not in repr(messages)

    def test_so_is_what_an_application_writes(self) -> None:
        app = agent(says("ok"), saver=MemorySaver())
        said(app, HumanMessage("hi"))
        app.update_state(CONFIG, {"messages": [HumanMessage(SAID), AIMessage(SAID)]})
        assert RAW not in repr(said(app, HumanMessage("and?")))


class TestRaised:
    @pytest.mark.parametrize("stage", ["pre_plan", "llm_prompt"])
    def test_a_message_is_refused_once(self, stage: str) -> None:
        off = {"pre_plan": {**NO_MODEL, "pii": {"disabled": True}}} if stage == "llm_prompt" else {}
        app = agent(says("ok"), saver=MemorySaver(), on_block="raise", **{**off, stage: BLOCK})
        with pytest.raises(GuardBlocked) as raised:
            said(app, HumanMessage(SAID, id="mine"))
        assert raised.value.stage == stage
        with pytest.raises(GuardBlocked):
            said(app, HumanMessage(SAID, id="mine"))
        messages = said(app, HumanMessage("hello"))
        assert [message.content for message in messages] == ["[removed by policy]", "hello", "ok"]

    def test_in_another_thread_it_is_refused_as_ever(self) -> None:
        app = agent(says("ok"), saver=MemorySaver(), on_block="raise", pre_plan=BLOCK)
        for thread in ("1", "2"):
            config: Any = {"configurable": {"thread_id": thread}}
            with pytest.raises(GuardBlocked):
                app.invoke({"messages": [HumanMessage(SAID, id="mine"), HumanMessage("hi")]}, config)


class TestInterrupts:
    @pytest.mark.parametrize("by_tool", [False, True])
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_a_tool_asks_is_guarded_and_answered_as_ever(self, by_tool: bool, asynchronous: bool) -> None:
        @tool
        def confirm(name: str) -> str:
            """Ask twice."""
            first = interrupt({"question": SAID, "of": name})
            return f"{first} {interrupt(SAID)}"

        saver = MemorySaver()
        tools = (
            guard_tools([confirm], pre_tool=guard("pre_tool"), post_tool=guard("post_tool")) if by_tool else [confirm]
        )
        own = [] if by_tool else [middleware()]
        app: Any = create_agent(says(calling("confirm", name="A"), "ok"), tools, middleware=own, checkpointer=saver)

        def step(value: Any) -> Any:
            return asyncio.run(app.ainvoke(value, CONFIG)) if asynchronous else app.invoke(value, CONFIG)

        asked = step({"messages": [HumanMessage("hi")]})
        assert [one.value for one in asked["__interrupt__"]] == [{"question": CLEAN, "of": "A"}]
        asked = step(Command(resume={asked["__interrupt__"][0].id: "yes"}))
        assert [one.value for one in asked["__interrupt__"]] == [CLEAN]
        assert outputs(step(Command(resume="again"))["messages"]) == ["yes again"]
        assert RAW not in repr([one.pending_writes for one in saver.list(CONFIG)])

    def test_a_refused_question_is_told_as_refused(self) -> None:
        @tool
        def confirm() -> str:
            """Ask."""
            return str(interrupt(SAID))

        for on_block in ("refuse", "raise"):
            app = agent(
                says(calling("confirm"), "ok"), [confirm], saver=MemorySaver(), post_tool=BLOCK, on_block=on_block
            )
            if on_block == "raise":
                with pytest.raises(GuardBlocked):
                    said(app, HumanMessage("hi"))
                continue
            asked = app.invoke({"messages": [HumanMessage("hi")]}, CONFIG)["__interrupt__"]
            assert [one.value for one in asked] == ["The tool result was blocked by policy (pii: US_SSN)."]
