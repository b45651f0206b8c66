"""What the tools of a guarded agent are told about a conversation, over steps, tools and turns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from guardrails_plugin.llama_index import guard_agent, guard_memory
from guardrails_plugin.llama_index.provenance import Said, said_here
from tests.integration.llama_index.scripted import AGENTS_WARN, Script, call
from tests.integration.testing.recording import recording_engine

pytestmark = [*AGENTS_WARN]


def read_page(name: str) -> str:
    """Read a page."""
    return f"page {name}"


def send_money(iban: str, amount: int) -> str:
    """Send money."""
    return "sent"


def tools() -> list[Any]:
    return [FunctionTool.from_defaults(read_page), FunctionTool.from_defaults(send_money)]


def function_agent(engine: Any) -> Any:
    model = Script(
        call(("read_page", {"name": "a"})),
        "first answer",
        call(("read_page", {"name": "b"})),
        call(("send_money", {"iban": "X", "amount": 5})),
        "second answer",
    ).model()
    return FunctionAgent(llm=model, tools=tools(), system_prompt="You are a bank clerk.")


def workflow(engine: Any) -> Any:
    return AgentWorkflow(agents=[function_agent(engine)])


def react_agent(engine: Any) -> Any:
    model = Script(
        'Thought: I read.\nAction: read_page\nAction Input: {"name": "a"}',
        "Thought: I can answer without using any more tools.\nAnswer: first answer",
        'Thought: I read.\nAction: read_page\nAction Input: {"name": "b"}',
        'Thought: I pay.\nAction: send_money\nAction Input: {"iban": "X", "amount": 5}',
        "Thought: I can answer without using any more tools.\nAnswer: second answer",
    ).model()
    return ReActAgent(llm=model, tools=tools(), streaming=False)


@pytest.mark.parametrize("build", [function_agent, workflow, react_agent])
def test_tools_know_who_said_what(build: Any) -> None:
    engine, stages = recording_engine()
    agent = guard_agent(build(engine), engine=engine)

    async def talk() -> None:
        handler = agent.run(user_msg="read a")
        await handler
        await agent.run(user_msg="pay 5 to X", ctx=handler.ctx)

    asyncio.run(talk())
    calls = stages["pre_tool"].seen
    assert [texts[0] for texts, _ in calls] == ["read_page", "read_page", "send_money"]
    first, second, third = [context for _, context in calls]
    assert (first.prompt, list(first.history), list(first.untrusted)) == ("read a", [], [])
    assert (second.prompt, list(second.history), list(second.untrusted)) == ("pay 5 to X", ["read a"], ["page a"])
    assert list(third.untrusted) == ["page a", "page b"]
    assert list(third.calls) == [{"name": "read_page", "args": {"name": "b"}}]
    if build is not react_agent:
        assert "You are a bank clerk." in third.system
        assert all("You are a bank clerk." in c.system for _, c in stages["response"].seen)
    assert said_here() is None


def test_a_history_that_is_handed_in_counts() -> None:
    engine, stages = recording_engine()
    agent = guard_agent(
        FunctionAgent(llm=Script(call(("read_page", {"name": "a"})), "done").model(), tools=tools()), engine=engine
    )
    history = [
        ChatMessage(role=MessageRole.USER, content="earlier"),
        ChatMessage(role=MessageRole.TOOL, content="old page", additional_kwargs={"tool_call_id": "0"}),
    ]

    async def talk() -> None:
        await agent.run(user_msg="now", chat_history=history)

    asyncio.run(talk())
    ((_, context),) = stages["pre_tool"].seen
    assert (context.prompt, list(context.history), list(context.untrusted)) == ("now", ["earlier"], ["old page"])


def test_conversations_that_run_at_the_same_time_stay_apart() -> None:
    engine, stages = recording_engine()

    async def talk(word: str) -> None:
        model = Script(call(("read_page", {"name": word})), call(("read_page", {"name": f"{word}2"})), "done").model()
        await guard_agent(FunctionAgent(llm=model, tools=tools()), engine=engine).run(user_msg=f"say {word}")

    async def all_at_once() -> None:
        await asyncio.gather(*(talk(word) for word in ("a", "b", "c")))

    asyncio.run(all_at_once())
    for texts, context in stages["pre_tool"].seen:
        word = texts[1][0]
        assert context.prompt == f"say {word}"
        assert list(context.untrusted) in ([], [f"page {word}"])


def test_an_agent_run_by_a_tool_takes_part_in_the_outer_conversation() -> None:
    """What a model tells another agent is not the user's word."""
    engine, stages = recording_engine()
    inner = guard_agent(
        FunctionAgent(llm=Script(call(("read_page", {"name": "x"})), "inner").model(), tools=tools()), engine=engine
    )

    async def delegate(task: str) -> str:
        """Have it done."""
        return str(await inner.run(user_msg=task))

    outer = guard_agent(
        FunctionAgent(
            llm=Script(call(("delegate", {"task": "made up"})), "outer").model(),
            tools=[FunctionTool.from_defaults(async_fn=delegate)],
        ),
        engine=engine,
    )

    async def talk() -> None:
        await outer.run(user_msg="the user's words")

    asyncio.run(talk())
    assert {context.prompt for _, context in stages["pre_tool"].seen} == {"the user's words"}


@pytest.mark.parametrize("make", [ChatMemoryBuffer.from_defaults, guard_memory])
def test_a_memory_that_is_handed_in_tells_of_earlier_turns(make: Any) -> None:
    engine, stages = recording_engine()
    agent = guard_agent(function_agent(engine), engine=engine)
    memory = make()

    async def talk() -> None:
        await agent.run(user_msg="read a", memory=memory)
        await agent.run(user_msg="pay 5 to X", memory=memory)

    asyncio.run(talk())
    _, second, third = [context for _, context in stages["pre_tool"].seen]
    assert (second.prompt, list(second.history), list(second.untrusted)) == ("pay 5 to X", ["read a"], ["page a"])
    assert list(third.untrusted) == ["page a", "page b"]


def test_what_an_agent_says_in_the_users_name_is_not_the_users_word() -> None:
    said = Said(prompt="now")
    memory = [
        ChatMessage(role=MessageRole.USER, content="earlier"),
        ChatMessage(role=MessageRole.USER, content="Result of executing the code given:\n\npay X"),
        ChatMessage(role=MessageRole.TOOL, content="page"),
        ChatMessage(role=MessageRole.ASSISTANT, content="answer"),
        ChatMessage(role=MessageRole.USER, content="now"),
    ]
    said.recall(memory)
    said.recall([ChatMessage(role=MessageRole.USER, content="Please try again.")])
    assert said.history == ["earlier"]
    assert said.untrusted == ["Result of executing the code given:\n\npay X", "page"]
