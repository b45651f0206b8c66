"""What a guard tells the run it is part of, whom it asks for review, whose keys it uses, and how it is stored."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from guardrails_plugin import ConfigError, Context, Engine, GuardBlocked, Keyring
from guardrails_plugin.langchain import Guard, guard_model
from tests.integration.langchain.fakes import BLOCK, RAW, SAID, calling, guard, says
from tests.integration.langchain.test_middleware import agent
from tests.strategies import NO_MODEL

ENCRYPT: dict[str, dict[str, Any]] = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}


class Told(BaseCallbackHandler):
    """Custom events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        self.events.append((name, data))


class TestEvents:
    def test_a_verdict_names_types_and_actions_and_no_text(self) -> None:
        told = Told()
        (RunnableLambda(str) | guard("response")).invoke(SAID, {"callbacks": [told]})
        ((name, data),) = told.events
        assert name == "guard_verdict"
        assert {key: data[key] for key in ("stage", "recipe", "verdict", "reasons")} == {
            "stage": "response",
            "recipe": "response",
            "verdict": "transform",
            "reasons": [],
        }
        assert data["findings"] == [{"detector": "pii", "type": "US_SSN", "action": "replace"}]
        assert RAW not in json.dumps(data)

    def test_nothing_is_told_where_nothing_was_found(self) -> None:
        told = Told()
        guard("response").invoke("All fine.", {"callbacks": [told]})
        assert told.events == []

    @pytest.mark.parametrize("way", ["invoke", "batch", "stream", "ainvoke", "abatch", "astream"])
    def test_every_way_to_run_tells_it(self, way: str) -> None:
        told = Told()
        config: Any = {"callbacks": [told]}

        async def later() -> None:
            if way == "astream":
                _ = [chunk async for chunk in guard("response").astream(SAID, config)]
            elif way == "abatch":
                await guard("response").abatch([SAID], config)
            else:
                await guard("response").ainvoke(SAID, config)

        if way.startswith("a"):
            asyncio.run(later())
        elif way == "stream":
            list(guard("response").stream(SAID, config))
        elif way == "batch":
            guard("response").batch([SAID], config)
        else:
            guard("response").invoke(SAID, config)
        assert [data["verdict"] for _, data in told.events] == ["transform"]

    def test_a_refusal_says_why(self) -> None:
        told = Told()
        with pytest.raises(GuardBlocked):
            guard("prompt", overrides=BLOCK).invoke(SAID, {"callbacks": [told]})
        assert told.events[0][1]["reasons"] == ["pii: US_SSN"]

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_an_agents_stages_are_told_as_well(self, asynchronous: bool) -> None:
        @tool
        def lookup(name: str) -> str:
            """Look somebody up."""
            return SAID

        told = Told()
        app = agent(says(calling("lookup", name="A"), f"Well. {SAID}"), [lookup])
        value: Any = {"messages": [HumanMessage(SAID)]}
        config: Any = {"callbacks": [told]}
        _ = asyncio.run(app.ainvoke(value, config)) if asynchronous else app.invoke(value, config)
        assert {data["stage"] for _, data in told.events} >= {"pre_plan", "post_tool", "response"}
        assert RAW not in json.dumps([data for _, data in told.events])

    def test_event_streams_carry_them(self) -> None:
        async def events() -> list[Any]:
            app = RunnableLambda(str) | guard("response")
            return [event async for event in app.astream_events(SAID, version="v2")]

        custom = [event for event in asyncio.run(events()) if event["event"] == "on_custom_event"]
        assert [(event["name"], event["data"]["verdict"]) for event in custom] == [("guard_verdict", "transform")]


class State(TypedDict):
    text: str


def reviewing() -> Any:
    """A graph of one node that asks its guard."""
    own = guard("prompt", overrides=BLOCK, on_block="review")

    def node(state: State) -> State:
        return {"text": own.invoke(state["text"])}

    async def anode(state: State) -> State:
        return {"text": await own.ainvoke(state["text"])}

    graph = StateGraph(State)
    graph.add_node("check", RunnableLambda(node, afunc=anode))
    graph.add_edge(START, "check")
    graph.add_edge("check", END)
    return graph.compile(checkpointer=MemorySaver())


class TestReview:
    @pytest.mark.parametrize("asynchronous", [False, True])
    @pytest.mark.parametrize("answer", ["approve", "reject", {"type": "approve"}])
    def test_a_graph_waits_for_a_person(self, answer: Any, asynchronous: bool) -> None:
        app = reviewing()
        config: Any = {"configurable": {"thread_id": "1"}}

        def run(value: Any) -> Any:
            return asyncio.run(app.ainvoke(value, config)) if asynchronous else app.invoke(value, config)

        (asked,) = run({"text": SAID})["__interrupt__"]
        assert {key: asked.value[key] for key in ("review", "stage", "reasons")} == {
            "review": "content",
            "stage": "prompt",
            "reasons": ["pii: US_SSN"],
        }
        assert RAW not in repr(asked)
        (again,) = run(Command(resume={"type": "edit"}))["__interrupt__"]
        assert again.value["invalid"] == "expected 'approve' or 'reject'"
        resumed: Any = Command(resume=answer)
        if answer in ("approve", {"type": "approve"}):
            assert run(resumed)["text"] == SAID
        else:
            with pytest.raises(GuardBlocked):
                run(resumed)

    def test_what_is_fine_interrupts_nothing(self) -> None:
        assert reviewing().invoke({"text": "Hello"}, {"configurable": {"thread_id": "1"}}) == {"text": "Hello"}

    def test_outside_of_a_graph_nobody_can_be_asked(self) -> None:
        own = guard("prompt", overrides=BLOCK, on_block="review")
        with pytest.raises(GuardBlocked):
            own.invoke(SAID)
        with pytest.raises(GuardBlocked):
            list(own.stream(SAID))

    def test_a_stream_is_held_back_until_its_verdict(self) -> None:
        own = guard("response", on_block="review")
        pieces = list(own.transform(iter(["My SSN is 536-", "90-4399", ", thanks."])))
        assert pieces == ["My SSN is <US_SSN>, thanks."]
        assert list(own.transform(iter([]))) == []

    def test_an_interrupted_run_is_told_to_be_over(self) -> None:
        ended: list[str] = []

        class Ends(BaseCallbackHandler):
            def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
                ended.append(type(error).__name__)

        reviewing().invoke({"text": SAID}, {"configurable": {"thread_id": "1"}, "callbacks": [Ends()]})
        assert ended.count("GraphInterrupt") >= 2  # the guard's run, and the node's


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
class TestStored:
    def test_a_guard_is_written_and_loaded_with_its_policy(self) -> None:
        own = guard("response", recipe="response", on_block="refuse", refusal="No.", tenant="acme")
        loaded = loads(dumps(own), allowed_objects=[Guard], valid_namespaces=["guardrails_plugin"])
        assert loaded == own
        assert loaded.invoke(SAID) == own.invoke(SAID)

    def test_so_is_a_chain_with_one(self) -> None:
        chain: Any = guard("prompt") | guard("response")
        loaded = loads(
            dumps(chain), allowed_objects=[Guard, type(chain)], valid_namespaces=["guardrails_plugin", "langchain_core"]
        )
        assert loaded.invoke(SAID) == chain.invoke(SAID)

    def test_a_guard_with_keys_is_not_loaded_as_one_without(self) -> None:
        keyring = Keyring.generate()
        own = guard("response", Engine(keyring=keyring), overrides=ENCRYPT)
        written = dumps(own)
        assert json.loads(written)["type"] == "not_implemented"
        assert keyring.subkey("token", tenant="").hex() not in written
        with pytest.raises(NotImplementedError):
            loads(written, allowed_objects=[Guard], valid_namespaces=["guardrails_plugin"])


class TestTenants:
    """A token opens only for the tenant it was made for."""

    engine = Engine(keyring=Keyring.generate())

    def test_the_runs_config_says_whose_keys_are_used(self) -> None:
        model = guard_model(
            says(lambda messages: str(messages[-1].content)),
            prompt=guard("llm_prompt", self.engine, overrides=ENCRYPT),
            response=guard("response", self.engine, overrides=ENCRYPT),
        )
        reply = model.invoke(SAID, {"metadata": {"tenant": "acme"}})
        assert RAW not in str(reply.content)
        token = reply.response_metadata["guard"]["fpe_context"]
        assert self.engine.unredact(reply.content, token, tenant="acme") == SAID
        with pytest.raises(ConfigError, match="another tenant"):
            self.engine.unredact(reply.content, token)

    def test_the_guards_own_tenant_comes_first(self) -> None:
        own = guard("prompt", self.engine, overrides=ENCRYPT, tenant="acme")
        again = self.engine.check(SAID, stage="prompt", overrides=ENCRYPT, context=Context(tenant="acme"))
        assert again.fpe_context
        hidden = own.invoke(SAID, {"metadata": {"tenant": "other"}})
        assert RAW not in hidden

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_an_agent_restores_for_the_tenant_of_the_run_and_for_no_other(self, asynchronous: bool) -> None:
        sent: list[str] = []

        @tool
        def send(ssn: str) -> str:
            """Send it."""
            sent.append(ssn)
            return "sent"

        def send_it(messages: list[Any]) -> AIMessage:
            return calling("send", ssn=str(messages[-1].content).split("is ")[1].split(",")[0])

        options: Any = {"engine": self.engine, "pre_plan": ENCRYPT, "trusted_tools": {"send": {"US_SSN"}}}
        saver = MemorySaver()
        app = agent(says(send_it, "Done."), [send], saver=saver, restore_answer=True, **options)
        config: Any = {"configurable": {"thread_id": "1", "tenant": "acme"}}
        value: Any = {"messages": [HumanMessage(SAID)]}
        result = asyncio.run(app.ainvoke(value, config)) if asynchronous else app.invoke(value, config)
        assert sent == [RAW]
        assert RAW not in repr(result)
        with pytest.raises(ConfigError, match="another tenant"):
            app.invoke({"messages": [HumanMessage("And?")]}, {"configurable": {"thread_id": "1", "tenant": "other"}})
