"""``restore_answer``: the user gets raw values, the state holds them until the next turn, the model never sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import MemorySaver

from guardrails_plugin import Engine, Keyring
from guardrails_plugin.testing import CALLER_INPUT, GRAPH_INPUT, find_leaks
from tests.integration.langchain.fakes import RAW, SAID, says
from tests.integration.langchain.test_middleware import agent
from tests.strategies import NO_MODEL

OFF: Any = {**NO_MODEL, "pii": {"disabled": True}}
ENCRYPT: Any = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
CONFIG: Any = {"configurable": {"thread_id": "1"}}
TURN: Any = {"messages": [HumanMessage(SAID)]}


def echo(messages: list[Any]) -> str:
    return f"You said: {messages[0].content}"


def restoring(model: Any, **options: Any) -> Any:
    """Only pre_plan would notice a raw value: what keeps it from the model is not the prompt's guard."""
    own: dict[str, Any] = {"engine": Engine(keyring=Keyring.generate()), "pre_plan": ENCRYPT, "llm_prompt": OFF}
    own |= {"response": OFF, "restore_answer": True, **options}
    return agent(model, saver=MemorySaver(), **own)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_next_turns_model_sees_it_encrypted(asynchronous: bool) -> None:
    model = says(echo)
    app = restoring(model)

    def turn(value: Any) -> list[Any]:
        result: Any = asyncio.run(app.ainvoke(value, CONFIG)) if asynchronous else app.invoke(value, CONFIG)
        return list(result["messages"])

    assert turn(TURN)[-1].content == f"You said: {SAID}"
    messages = turn({"messages": [HumanMessage("And now?")]})
    assert len(model.seen) == 2
    assert RAW not in repr(model.seen)
    # The state is encrypted again but for the new answer.
    assert RAW not in repr(messages[:-1])
    assert messages[1].content == model.seen[1][1].content
    assert messages[-1].content == f"You said: {SAID}"


def test_so_it_does_in_a_thread_that_the_caller_keeps() -> None:
    model = says(echo)
    app = restoring(model)
    kept = app.invoke(TURN, CONFIG)["messages"]
    assert isinstance(kept[-1], AIMessage)
    app.invoke({"messages": [*kept, HumanMessage("And?")]}, {"configurable": {"thread_id": "2"}})
    assert RAW not in repr(model.seen)


def test_the_answer_is_raw_wherever_the_graph_shows_its_last_step() -> None:
    """The row of the leak matrix: the restored answer is in outputs, streams, traces and the last checkpoint."""
    report = find_leaks(lambda: restoring(says(echo)), {"in": RAW}, TURN, allow=[CALLER_INPUT, GRAPH_INPUT])
    assert set(report.modes.values()) == {"ran"}
    kinds = {leak.place.split()[0].split("[")[0].split(".")[0] for leak in report.leaks}
    assert kinds >= {"output", "chunk", "checkpoint", "state"}
    # No run of a model has seen it.
    assert not [leak.place for leak in report.leaks if "llm" in leak.place or "chat_model" in leak.place]


def test_without_it_what_is_given_out_can_be_restored_by_the_application() -> None:
    engine = Engine(keyring=Keyring.generate())
    app = restoring(says(echo), engine=engine, restore_answer=False)
    messages = app.invoke(TURN, CONFIG)["messages"]
    assert RAW not in repr(app.get_state(CONFIG))
    token = messages[0].response_metadata["guard"]["fpe_context"]
    assert engine.unredact(messages[-1].content, token) == f"You said: {SAID}"
