"""The leak matrix: canaries in the input, the reply, a tool's arguments, result and question, in every mode there is.

One test per way to guard an application, against `guardrails_plugin.testing`. What may be seen raw, since the
framework shows it before any guard is asked or behind its back, is allowed by name; everything else is clean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from guardrails_plugin import Engine, Keyring
from guardrails_plugin.langchain import GuardCallbackHandler, GuardMiddleware, guard_model, guard_retriever, guard_tools
from guardrails_plugin.testing import CALLER_INPUT, GRAPH_INPUT, Allow, assert_no_leak, find_leaks
from tests.integration.langchain.fakes import calling, guard, says
from tests.strategies import NO_MODEL

IN, OUT, TOOL = "536-90-4399", "219-09-9998", "457-55-5463"
CANARIES = {"in": IN, "out": OUT, "tool": TOOL}
QUESTION = f"My SSN is {IN}, thanks."
ANSWER = f"Let me see. Your SSN is {OUT}, I think. " + "And the story goes on, so that something streams. " * 4
TURN = {"messages": [HumanMessage(QUESTION)]}
STAGES = ("pre_plan", "llm_prompt", "response", "pre_tool", "post_tool")


@tool
def lookup(name: str) -> str:
    """Look somebody up."""
    return f"The SSN of {name} is {TOOL}, they say."


def model() -> Any:
    return says(calling("lookup", name="Ann"), ANSWER)


def unguarded() -> Any:
    return create_agent(model(), [lookup], checkpointer=MemorySaver())


def behind_guard() -> Any:
    """A plain model with guards before and behind it."""
    return guard("llm_prompt") | says(ANSWER) | guard("response")


def guarded_model() -> Any:
    return guard_model(says(ANSWER), prompt=guard("llm_prompt"), response=guard("response"))


def guard_and_guarded_model() -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    return guard("prompt") | prompt | guard("llm_prompt") | guarded_model()


def middleware(**stages: Any) -> Any:
    own: dict[str, Any] = {stage: guard(stage) for stage in STAGES}
    return create_agent(
        model(), [lookup], middleware=[GuardMiddleware(**{**own, **stages})], checkpointer=MemorySaver()
    )


def guard_and_middleware() -> Any:
    return guard("pre_plan") | middleware()


def graph(answer: Callable[[Any], Any]) -> Any:
    """A graph of one's own with a guard before the model; guards inside of nodes are called like any function."""
    plan = guard("pre_plan")
    made = StateGraph(MessagesState)
    made.add_node("plan", lambda state: {"messages": plan.invoke(state)["messages"]})
    made.add_node("model", lambda state: {"messages": [answer(state["messages"])]})
    made.add_edge(START, "plan")
    made.add_edge("plan", "model")
    made.add_edge("model", END)
    return made.compile(checkpointer=MemorySaver())


def guard_in_a_graph() -> Any:
    return graph((says(ANSWER) | guard("response")).invoke)


def guarded_model_in_a_graph() -> Any:
    return graph(guarded_model().invoke)


def handler(app: Any) -> Any:
    return app.with_config(callbacks=[GuardCallbackHandler(response=guard("response", overrides=STOP))])


def tools_only() -> Any:
    (guarded,) = guard_tools([lookup], pre_tool=guard("pre_tool"), post_tool=guard("post_tool"))
    return guarded


def test_an_unguarded_agent_leaks_everything_everywhere() -> None:
    """Otherwise the tests below could not fail."""
    report = find_leaks(unguarded, CANARIES, TURN, allow=[CALLER_INPUT, GRAPH_INPUT])
    assert set(report.modes.values()) == {"ran"}
    places = report.places()
    assert places.keys() == report.modes.keys()
    assert set().union(*places.values()) == CANARIES.keys()
    kinds = {leak.place.split()[0].split("[")[0].split(".")[0] for leak in report.leaks}
    assert kinds >= {"output", "chunk", "event", "callback", "trace", "checkpoint", "state"}


def test_a_guard_cannot_take_back_what_the_model_before_it_told() -> None:
    """Use `guard_model`: its inner run is hidden."""
    told = [Allow(f"{kind}*", canary="out") for kind in ("callback on_llm_", "event on_chat_model", "trace llm")]
    hidden = Allow("log patch /logs/*", "astream_log", "out")
    report = assert_no_leak(behind_guard, CANARIES, QUESTION, allow=[CALLER_INPUT, *told, hidden])
    assert {leak.canary for leak in report.allowed if not leak.place.startswith("root input")} == {"out"}


def test_a_guarded_model_shows_nothing_but_the_input_of_its_caller() -> None:
    report = assert_no_leak(guarded_model, CANARIES, QUESTION, allow=[CALLER_INPUT])
    assert set(report.modes.values()) == {"ran"}


def test_a_guard_in_front_cleans_the_prompts_that_handlers_are_told() -> None:
    report = assert_no_leak(guard_and_guarded_model, CANARIES, QUESTION, allow=[CALLER_INPUT])
    assert {leak.canary for leak in report.allowed} == {"in"}


def test_an_agents_middleware_leaves_only_the_input_as_the_graph_stores_it_first() -> None:
    report = assert_no_leak(middleware, CANARIES, [TURN, TURN], allow=[CALLER_INPUT, GRAPH_INPUT])
    assert set(report.modes.values()) == {"ran"}
    assert not report.unused
    assert {leak.canary for leak in report.allowed} == {"in"}


def test_a_guard_in_front_of_an_agent_keeps_the_input_out_of_checkpoints_too() -> None:
    assert_no_leak(guard_and_middleware, CANARIES, [TURN, TURN], allow=[CALLER_INPUT])


def test_what_raises_shows_nothing_either() -> None:
    blocking: Any = {**NO_MODEL, "pii": {"sensitive": "block"}}
    stages = {stage: guard(stage, overrides=blocking) for stage in ("response", "post_tool")}
    report = assert_no_leak(
        lambda: middleware(**stages, on_block="raise"), CANARIES, TURN, allow=[CALLER_INPUT, GRAPH_INPUT]
    )
    assert set(report.modes.values()) == {"blocked: GuardBlocked"}


def test_values_stay_encrypted_until_the_answer_is_given() -> None:
    """What the last message restores is for the user, so it is seen raw: nothing else is."""
    engine = Engine(keyring=Keyring.generate())
    encrypting: Any = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
    stages = {stage: guard(stage, engine, overrides=encrypting) for stage in STAGES}
    report = assert_no_leak(lambda: middleware(**stages), CANARIES, TURN, allow=[CALLER_INPUT, GRAPH_INPUT])
    assert set(report.modes.values()) == {"ran"}


def test_a_guarded_model_in_a_graph_leaves_only_the_input_as_the_graph_stores_it_first() -> None:
    first = Allow("trace chain plan inputs*", canary="in")
    report = assert_no_leak(guarded_model_in_a_graph, CANARIES, TURN, allow=[CALLER_INPUT, GRAPH_INPUT, first])
    assert set(report.modes.values()) == {"ran"}
    assert {mode.split()[-1] for mode in report.modes} >= {"values", "updates", "messages", "debug"}


def test_a_guard_in_a_graph_keeps_the_state_clean_and_cannot_take_back_what_the_model_streams() -> None:
    """Stream mode ``messages`` and v3 tell a model's tokens: use `guard_model`."""
    report = find_leaks(guard_in_a_graph, CANARIES, TURN, allow=[CALLER_INPUT, GRAPH_INPUT])
    assert set(report.modes.values()) == {"ran"}
    told = {leak.mode for leak in report.leaks if not leak.place.startswith(("callback", "trace"))}
    assert told == {"stream messages", "astream messages", "astream_log", "events v2", "events v3", "async events v3"}
    assert {leak.canary for leak in report.leaks if leak.place != "trace chain plan inputs.messages[].content"} == {
        "out"
    }
    assert not [leak for leak in report.leaks if leak.place.startswith(("output", "checkpoint", "state"))]


def test_a_callback_handler_stops_a_model_and_cannot_hide_what_was_streamed() -> None:
    """Its docstring says so; callbacks before it are told, too."""
    kept = ("invoke", "ainvoke", "batch", "abatch")
    report = find_leaks(lambda: handler(says(ANSWER)), CANARIES, "hi")
    assert set(report.modes.values()) == {"blocked: GuardBlocked"}
    leaking = {leak.mode for leak in report.leaks if not leak.place.startswith(("callback", "trace"))}
    assert leaking == report.modes.keys() - set(kept)
    modes = ["ainvoke", "stream values", "astream messages", "stream debug", "events v2"]
    report = find_leaks(lambda: handler(unguarded()), CANARIES, {"messages": [HumanMessage("hi")]}, modes=modes)
    assert set(report.modes.values()) == {"blocked: GuardBlocked"}
    assert "tool" in set().union(*report.places().values())
    assert not [
        leak for leak in report.leaks if leak.canary == "out" and leak.place.startswith(("checkpoint", "state"))
    ]


def test_tools() -> None:
    assert_no_leak(tools_only, CANARIES, {"name": "Ann"}, allow=[CALLER_INPUT])


def test_retrievers() -> None:
    from langchain_core.documents import Document

    class Finds(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document(f"The SSN is {OUT}.", metadata={"owner": f"SSN {TOOL}"})]

    unguarded = find_leaks(Finds(), CANARIES, "Who?")
    assert set().union(*unguarded.places().values()) == {"out", "tool"}
    assert_no_leak(guard_retriever(Finds(), post_tool=guard("post_tool")), CANARIES, "Who?")


@pytest.mark.parametrize("on_block", ["raise", "refuse"])
def test_chains_that_block(on_block: str) -> None:
    blocking: Any = {**NO_MODEL, "pii": {"sensitive": "block"}}
    app = guard("prompt", overrides=blocking, on_block=on_block) | says(ANSWER)
    report = assert_no_leak(
        app, {"in": IN}, QUESTION, allow=[CALLER_INPUT], modes=["invoke", "ainvoke", "stream", "astream", "batch"]
    )
    assert set(report.modes.values()) == {"ran" if on_block == "refuse" else "blocked: GuardBlocked"}


ARG, SAID = "078-05-1121", "219-09-9999"
REPLACE: Any = {**NO_MODEL, "pii": {"sensitive": "replace"}}
STOP: Any = {**NO_MODEL, "pii": {"sensitive": "block"}}


@tool
def ask(name: str) -> str:
    """Ask whether it is so."""
    return str(interrupt({"question": f"The SSN of {name} is {TOOL}, is it?"}))


def acting(*others: Any, tools: Any = (lookup,), **stages: Any) -> Any:
    """An agent whose model says a number in a call."""
    call = calling(tools[0].name, name=f"Ann (SSN {ARG})")
    own: dict[str, Any] = {**{stage: guard(stage) for stage in STAGES}, **stages}
    return create_agent(
        says(call, ANSWER), list(tools), middleware=[GuardMiddleware(**own), *others], checkpointer=MemorySaver()
    )


def test_arguments_of_calls_and_what_an_input_says_of_a_model_are_clean_everywhere() -> None:
    turn = {"messages": [HumanMessage("hi"), AIMessage(f"Her SSN is {SAID}."), HumanMessage(QUESTION)]}
    for overrides in (REPLACE, STOP):
        report = assert_no_leak(
            lambda overrides=overrides: acting(pre_tool=guard("pre_tool", overrides=overrides)),
            {**CANARIES, "arg": ARG, "said": SAID},
            turn,
            allow=[CALLER_INPUT, GRAPH_INPUT],
            modes=None if overrides is REPLACE else ["ainvoke", "astream messages", "events v3", "stream debug"],
        )
        assert set(report.modes.values()) == {"ran"}
        assert {leak.canary for leak in report.allowed} == {"in", "said"}


def test_so_is_what_a_tool_asks_a_person() -> None:
    report = assert_no_leak(
        lambda: acting(tools=[ask], pre_tool=guard("pre_tool", overrides=REPLACE)),
        {**CANARIES, "arg": ARG},
        {"messages": [HumanMessage("hi")]},
    )
    assert set(report.modes.values()) == {"ran"}


def test_what_other_middleware_puts_into_the_thread_is_seen_until_the_model_is_asked() -> None:
    class Adds(AgentMiddleware[Any, Any, Any]):
        def before_model(self, state: Any, runtime: Any) -> Any:
            return {"messages": [HumanMessage(f"SSN {SAID}", id="added")]} if len(state["messages"]) == 1 else None

    app = acting(Adds(), pre_tool=guard("pre_tool", overrides=REPLACE))
    config: Any = {"configurable": {"thread_id": "1"}}
    states = list(app.stream({"messages": [HumanMessage("hi")]}, config, stream_mode="values"))
    assert [SAID in repr(state) for state in states].count(True) == 1
    assert SAID not in repr(states[-1])
