"""Chat histories: who says what decides how it is guarded, whoever adds it, and nothing raw is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable
from langchain_core.runnables.history import RunnableWithMessageHistory

from guardrails_plugin import ConfigError
from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain import GuardChatMessageHistory, guard_model
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, guard, says

MESSAGES: list[BaseMessage] = [
    HumanMessage(SAID, id="h"),
    AIMessage(SAID, id="a"),
    ToolMessage(SAID, tool_call_id="1", artifact={"raw": SAID}),
    FunctionMessage(content=SAID, name="f"),
    ChatMessage(content=SAID, role="user"),
]

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")


class Stored(BaseChatMessageHistory):
    """A history in a list."""

    def __init__(self) -> None:
        self.messages: list[BaseMessage] = []

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.messages = [*self.messages, *messages]

    def clear(self) -> None:
        self.messages = []


def guarded(inner: BaseChatMessageHistory, *, overrides: Any = None, **fields: Any) -> GuardChatMessageHistory:
    """A guarded history without the slow classifier."""
    own = {} if overrides is None else {"overrides": overrides}
    guards = {stage: guard(stage, **own) for stage in ("prompt", "post_tool", "response")}
    return GuardChatMessageHistory(inner, **{**guards, **fields})


def contents(history: BaseChatMessageHistory) -> list[str]:
    return [str(message.content) for message in history.messages]


@pytest.mark.parametrize("way", ["add_messages", "aadd_messages", "add_message", "helpers"])
def test_every_way_in_is_guarded(way: str) -> None:
    inner = Stored()
    own = guarded(inner)
    if way == "helpers":
        own.add_user_message(SAID)
        own.add_ai_message(SAID)
    elif way == "add_message":
        for message in MESSAGES:
            own.add_message(message)
    elif way == "add_messages":
        own.add_messages(MESSAGES)
    else:
        asyncio.run(own.aadd_messages(MESSAGES))
    assert set(contents(inner)) == {CLEAN}
    assert RAW not in repr(inner.messages)
    assert own.messages == asyncio.run(own.aget_messages()) == inner.messages
    assert RAW not in str(own)
    assert MESSAGES[0].content == SAID


def test_ids_stay_and_the_developers_messages_too() -> None:
    own = guarded(Stored())
    own.add_messages([*MESSAGES[:2], SystemMessage(SAID)])
    assert [message.id for message in own.messages] == ["h", "a", None]
    assert contents(own)[2] == SAID
    own.clear()
    assert own.messages == []
    own.add_user_message("x")
    asyncio.run(own.aclear())
    assert own.messages == []


@pytest.mark.parametrize("kind", [AIMessage, AIMessageChunk])
def test_the_arguments_of_tool_calls_are_guarded_wherever_they_stand(kind: type[AIMessage]) -> None:
    call: Any = {"name": "find", "args": {"q": SAID}, "id": "1", "type": "tool_call"}
    raw = {"tool_calls": [{"function": {"name": "find", "arguments": SAID}}], "note": SAID}
    own = guarded(Stored())
    own.add_messages([kind(content="", tool_calls=[call], additional_kwargs=raw)])
    (message,) = own.messages
    assert isinstance(message, AIMessage)
    assert message.tool_calls == [{**call, "args": {"q": CLEAN}}]
    assert message.additional_kwargs == {"note": CLEAN}
    assert RAW not in repr(message)
    fine = AIMessage("", tool_calls=[{**call, "args": {"q": "Ann"}}])
    own.add_message(fine)
    assert own.messages[1] == fine


def test_a_blocked_message_is_stored_as_the_refusal_of_its_kind() -> None:
    own = guarded(Stored(), overrides=BLOCK, refusal="Not kept.")
    own.add_messages([*MESSAGES, HumanMessage("fine")])
    assert contents(own) == ["Not kept."] * len(MESSAGES) + ["fine"]
    assert [type(message) for message in own.messages[:-1]] == [type(message) for message in MESSAGES]
    assert own.messages[0].response_metadata["guard"]["stage"] == "prompt"
    assert RAW not in repr(own.messages)
    assert own.dropped == ()


def test_a_blocked_message_is_left_out_and_named_or_raises() -> None:
    own = guarded(Stored(), overrides=BLOCK, on_block="drop")
    own.add_messages([*MESSAGES[:2], HumanMessage("fine")])
    assert contents(own) == ["fine"]
    assert [result.stage.value for result in own.dropped] == ["prompt", "response"]
    assert RAW not in repr(own.dropped)
    raising = guarded(Stored(), overrides=BLOCK, on_block="raise")
    with pytest.raises(GuardBlocked, match="response"):
        raising.add_messages([HumanMessage("fine"), MESSAGES[1]])
    assert raising.messages == []


def test_stages_can_be_switched_off_and_mistakes_are_errors() -> None:
    own = guarded(Stored(), prompt=False)
    own.add_messages(MESSAGES[:2])
    assert contents(own) == [SAID, CLEAN]
    with pytest.raises(ConfigError, match="inner: expected a BaseChatMessageHistory, got list"):
        GuardChatMessageHistory([])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown on_block 'keep'; valid: drop, raise, refuse"):
        GuardChatMessageHistory(Stored(), on_block="keep")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="stage 'response'"):
        GuardChatMessageHistory(Stored(), prompt=guard("response"))


def chain(history: BaseChatMessageHistory, *, keyed: bool) -> Runnable[Any, Any]:
    """A model with a memory; its own guards see neither what is stored of the input nor of the output."""
    model = guard_model(says(SAID), prompt=guard("llm_prompt"), response=False)
    if not keyed:
        return RunnableWithMessageHistory(model, lambda session_id: history)
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    return RunnableWithMessageHistory(
        prompt | model, lambda session_id: history, input_messages_key="question", history_messages_key="history"
    )


def run(asked: Runnable[Any, Any], way: str, given: Any) -> None:
    """Ask in one of the ways there are."""
    config: Any = {"configurable": {"session_id": "s"}}

    async def ask() -> None:
        await asked.ainvoke(given, config)

    async def consume() -> None:
        async for _ in asked.astream(given, config):
            pass

    ways: dict[str, Callable[[], object]] = {
        "invoke": lambda: asked.invoke(given, config),
        "batch": lambda: asked.batch([given], config),
        "stream": lambda: list(asked.stream(given, config)),
        "ainvoke": lambda: asyncio.run(ask()),
        "astream": lambda: asyncio.run(consume()),
    }
    ways[way]()


@pytest.mark.parametrize("way", ["invoke", "batch", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("keyed", [True, False])
def test_a_runnable_with_history_stores_guarded_messages_only(keyed: bool, way: str) -> None:
    given: Any = {"question": SAID} if keyed else [HumanMessage(SAID)]
    raw = Stored()
    run(chain(raw, keyed=keyed), way, given)
    assert contents(raw) == [SAID, SAID]

    inner = Stored()
    for _ in range(2):
        run(chain(guarded(inner), keyed=keyed), way, given)
    assert contents(inner) == [CLEAN] * 4
    assert [message.type for message in inner.messages[:1]] == ["human"]
    assert RAW not in repr(inner.messages)


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_a_runnable_with_history_stores_refusals(way: str) -> None:
    inner = Stored()
    run(chain(guarded(inner, overrides=BLOCK), keyed=True), way, {"question": SAID})
    assert contents(inner) == ["This was blocked by policy."] * 2
