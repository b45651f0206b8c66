"""`GuardMiddleware` beside other middleware: what comes out clean when it is the first of them, and when the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, ModelFallbackMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.prebuilt.tool_node import ToolRuntime
from langgraph.types import Command
from pydantic import BaseModel

from guardrails_plugin import Engine, GuardBlocked, Keyring
from guardrails_plugin.langchain import GuardMiddleware
from guardrails_plugin.testing import Allow, assert_no_leak
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, Says, calling, guard, outputs, says
from tests.strategies import NO_MODEL

STAGES = ("pre_plan", "llm_prompt", "response", "pre_tool", "post_tool")
LONG = f"{SAID} " + "And the story goes on, so that something streams. " * 4
HI: Any = {"messages": [HumanMessage("hi")]}


class Around(AgentMiddleware[Any, Any, Any]):
    """Changes the request on its way in and the answer on its way out; one function for both colours."""

    def __init__(self, request: Callable[[Any], Any] | None = None, answer: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self._request = request or (lambda given: given)
        self._answer = answer or (lambda given: given)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> Any:
        return self._answer(handler(self._request(request)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        return self._answer(await handler(self._request(request)))


class Answers(Around):
    """Asks no model."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._own = answer

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> Any:
        return self._own

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        return self._own


class AroundTools(AgentMiddleware[Any, Any, Any]):
    """Changes what a tool returned."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self._change = change

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        return self._change(handler(request))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        return self._change(await handler(request))


class Edits(AgentMiddleware[Any, Any, Any]):
    """Puts another call in a call's place."""

    def __init__(self, other: Any = None, **args: Any) -> None:
        super().__init__()
        self._other = other
        self._args = args

    def _edited(self, request: ToolCallRequest) -> ToolCallRequest:
        if self._other is None:
            return request.override(tool_call={**request.tool_call, "args": self._args})
        call: Any = {**request.tool_call, "name": self._other.name, "args": self._args}
        return request.override(tool_call=call, tool=self._other)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        return handler(self._edited(request))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        return await handler(self._edited(request))


class Down(Says):
    """A model that does not answer."""

    def _reply(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        raise ConnectionError("down")


class Sink:
    """Audit records."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def write(self, record: Any) -> None:
        self.stages.append(record["stage"])


def guarding(engine: Engine | None = None, **options: Any) -> GuardMiddleware:
    stages: dict[str, Any] = {stage: guard(stage, engine, overrides=options.pop(stage, NO_MODEL)) for stage in STAGES}
    return GuardMiddleware(engine=engine, **{**stages, **options})


def placed(other: Any, *, first: bool, **options: Any) -> list[Any]:
    own = guarding(**options)
    return [own, other] if first else [other, own]


def app(middleware: Any, model: Any = None, tools: Any = (), **options: Any) -> Any:
    return create_agent(model or says(LONG), list(tools), middleware=middleware, checkpointer=MemorySaver(), **options)


def run(made: Any, *, asynchronous: bool = False) -> list[BaseMessage]:
    config: Any = {"configurable": {"thread_id": "1"}}
    result = asyncio.run(made.ainvoke(HI, config)) if asynchronous else made.invoke(HI, config)
    return list(result["messages"])


def clean(make: Callable[[], Any], *allow: Allow) -> None:
    """In every way to run it, with all that streams, events, callbacks and checkpoints show."""
    report = assert_no_leak(make, {"raw": RAW}, HI, allow=list(allow))
    assert set(report.modes.values()) == {"ran"}


@tool
def lookup(name: str) -> str:
    """Look somebody up."""
    return f"{name}: {SAID}"


@pytest.mark.parametrize("first", [True, False])
class TestEitherPlace:
    def test_another_model_is_guarded_like_the_agents_own(self, first: bool) -> None:
        def make() -> Any:
            swap = Around(lambda request: request.override(model=says(LONG)))
            return app(placed(swap, first=first), says("never asked"))

        clean(make)

    def test_so_is_the_one_that_a_fallback_asks(self, first: bool) -> None:
        def make() -> Any:
            return app(placed(ModelFallbackMiddleware(says(LONG)), first=first), Down(replies=[]))

        clean(make)
        assert CLEAN in str(run(make())[-1].content)

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_the_model_is_sent_no_prompt_that_was_added_unguarded(self, first: bool, asynchronous: bool) -> None:
        model = says("ok")
        adds = Around(lambda request: request.override(messages=[*request.messages, HumanMessage(SAID)]))
        run(app(placed(adds, first=first), model), asynchronous=asynchronous)
        assert RAW not in repr(model.seen)
        assert CLEAN in repr(model.seen)

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_a_prompt_that_was_added_may_be_refused(self, first: bool, asynchronous: bool) -> None:
        model = says("ok")
        adds = Around(lambda request: request.override(messages=[*request.messages, HumanMessage(SAID)]))
        made = app(placed(adds, first=first, llm_prompt=BLOCK, refusal="No."), model)
        assert run(made, asynchronous=asynchronous)[-1].content == "No."
        assert model.seen == []

    def test_nothing_is_checked_twice_for_it(self, first: bool) -> None:
        sink = Sink()
        run(app(placed(Around(), first=first, engine=Engine(sinks=[sink]))))
        assert sorted(sink.stages) == ["llm_prompt", "pre_plan", "response"]
        sink.stages.clear()
        made = app(placed(Around(), first=first, engine=Engine(sinks=[sink])))
        list(made.stream(HI, {"configurable": {"thread_id": "1"}}, stream_mode="messages"))
        assert sorted(sink.stages) == ["llm_prompt", "pre_plan", "response"]


@tool
def echo(said: str, runtime: ToolRuntime) -> str:
    """Say it again."""
    return f"{said} ({len(runtime.state['messages'])} messages)"


@tool
def shout(said: str) -> str:
    """Say it loud."""
    return said.upper()


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("first", [True, False])
class TestEditedCalls:
    def test_are_judged_when_they_come_to_their_tool(self, first: bool, asynchronous: bool) -> None:
        replace: Any = {**NO_MODEL, "pii": {"sensitive": "replace"}}
        for action, said in (
            (BLOCK, "The tool call was blocked by policy (pii: US_SSN)."),
            (replace, f"{CLEAN} (2 messages)"),
        ):
            edits = placed(Edits(said=SAID), first=first, pre_tool=action)
            made = app(edits, says(calling("echo", said="Hi."), "done"), [echo])
            assert outputs(run(made, asynchronous=asynchronous)) == [said]

    def test_by_the_tool_that_they_are_given_to(self, first: bool, asynchronous: bool) -> None:
        edits = placed(Edits(shout, said=SAID), first=first, pre_tool=BLOCK)
        made = app(edits, says(calling("echo", said="Hi."), "done"), [echo, shout])
        said = outputs(run(made, asynchronous=asynchronous))
        assert said == ["The tool call was blocked by policy (pii: US_SSN)."]

    def test_raise_where_blocks_raise(self, first: bool, asynchronous: bool) -> None:
        edits = placed(Edits(said=SAID), first=first, pre_tool=BLOCK, on_block="raise")
        with pytest.raises(GuardBlocked, match="pre_tool"):
            run(app(edits, says(calling("echo", said="Hi."), "done"), [echo]), asynchronous=asynchronous)

    def test_a_persons_edit_is_one(self, first: bool, asynchronous: bool) -> None:
        person = placed(HumanInTheLoopMiddleware(interrupt_on={"shout": True}), first=first, pre_tool=BLOCK)
        made = app(person, says(calling("shout", said="Hi."), "done"), [shout])
        run(made, asynchronous=asynchronous)
        edit = {"type": "edit", "edited_action": {"name": "shout", "args": {"said": SAID}}}
        answer: Any = Command(resume={"decisions": [edit]})
        config: Any = {"configurable": {"thread_id": "1"}}
        result = asyncio.run(made.ainvoke(answer, config)) if asynchronous else made.invoke(answer, config)
        (told,) = outputs(result["messages"])
        assert told.endswith("The tool call was blocked by policy (pii: US_SSN).")
        assert RAW not in told


class Answer(BaseModel):
    """An answer."""

    text: str


class TestFirst:
    @pytest.mark.parametrize(
        "answer", [AIMessage(SAID), ModelResponse(result=[AIMessage(SAID)])], ids=["message", "response"]
    )
    def test_what_another_middleware_answers_itself_is_guarded(self, answer: Any) -> None:
        def make() -> Any:
            return app([guarding(), Answers(answer)])

        clean(make)

    def test_so_is_what_it_makes_of_the_models_answer(self) -> None:
        def appended(response: ModelResponse[Any]) -> ModelResponse[Any]:
            return ModelResponse(result=[*response.result, AIMessage(SAID)])

        def changed(response: ModelResponse[Any]) -> ModelResponse[Any]:
            return ModelResponse(result=[one.model_copy(update={"content": SAID}) for one in response.result])

        def mutated(response: ModelResponse[Any]) -> ModelResponse[Any]:
            response.result[0].content = SAID
            return response

        for change in (appended, changed, mutated):
            clean(lambda change=change: app([guarding(), Around(answer=change)], says("fine")))  # type: ignore[misc]

    def test_a_structured_answer_of_its_own_too(self) -> None:
        own = ModelResponse(result=[AIMessage("done")], structured_response=Answer(text=SAID))
        made = app([guarding(), Answers(own)], response_format=Answer)
        result = made.invoke(HI, {"configurable": {"thread_id": "1"}})
        assert result["structured_response"] == Answer(text=CLEAN)

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_its_answer_may_be_refused(self, asynchronous: bool) -> None:
        made = app([guarding(response=BLOCK, refusal="No."), Answers(AIMessage(SAID))])
        assert run(made, asynchronous=asynchronous)[-1].content == "No."
        made = app([guarding(response=BLOCK, on_block="raise"), Answers(AIMessage(SAID))])
        with pytest.raises(GuardBlocked):
            run(made, asynchronous=asynchronous)

    def test_encrypted_values_in_its_answer_stay_encrypted(self) -> None:
        encrypt: Any = {**NO_MODEL, "pii": {"sensitive": "encrypt"}}
        engine = Engine(keyring=Keyring.generate())

        class Echoes(Around):
            def wrap_model_call(self, request: Any, handler: Any) -> Any:
                return AIMessage(request.messages[0].content)

        own = guarding(engine, pre_plan=encrypt)
        made = app([own, Echoes()])
        said = made.invoke({"messages": [HumanMessage(SAID)]}, {"configurable": {"thread_id": "1"}})["messages"]
        assert said[1].content == said[0].content
        assert "<US_SSN>" not in said[1].content

    def test_a_tool_message_in_place_of_the_tools_is_guarded(self) -> None:
        def replaced(result: ToolMessage) -> ToolMessage:
            return ToolMessage(SAID, tool_call_id=result.tool_call_id, name=result.name)

        def mutated(result: ToolMessage) -> ToolMessage:
            result.content = SAID
            return result

        def moved(result: ToolMessage) -> Any:
            return Command(update={"messages": [result.model_copy(update={"content": SAID})]})

        for change in (replaced, mutated, moved):

            def make(change: Any = change) -> Any:
                return app([guarding(), AroundTools(change)], says(calling("lookup", name="A"), "done"), [lookup])

            for asynchronous in (False, True):
                assert outputs(run(make(), asynchronous=asynchronous)) == [CLEAN]

    def test_a_tools_result_is_not_checked_twice(self) -> None:
        sink = Sink()
        own = guarding(Engine(sinks=[sink]))
        run(app([own, AroundTools(lambda result: result)], says(calling("lookup", name="A"), "done"), [lookup]))
        assert sink.stages.count("post_tool") == 1


class TestLast:
    """What other middleware does to the answers on their way out is guarded in the thread, after it was seen there."""

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_they_answer_themselves_is_guarded_when_the_turn_ends(self, asynchronous: bool) -> None:
        for other in (Answers(AIMessage(SAID)), Around(answer=lambda _: ModelResponse(result=[AIMessage(SAID)]))):
            assert run(app([other, guarding()]), asynchronous=asynchronous)[-1].content == CLEAN

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_it_may_be_refused(self, asynchronous: bool) -> None:
        made = app([Answers(AIMessage(SAID)), guarding(response=BLOCK, refusal="No.")])
        messages = run(made, asynchronous=asynchronous)
        assert messages[-1].content == "No."
        assert RAW not in repr(messages)
        made = app([Answers(AIMessage(SAID)), guarding(response=BLOCK, on_block="raise")])
        with pytest.raises(GuardBlocked, match="response"):
            run(made, asynchronous=asynchronous)

    def test_the_step_that_writes_it_shows_it(self) -> None:
        made = app([Answers(AIMessage(SAID)), guarding()])
        seen = list(made.stream(HI, {"configurable": {"thread_id": "1"}}, stream_mode="values"))
        assert [state["messages"][-1].content for state in seen[-2:]] == [SAID, CLEAN]

    def test_a_refusal_is_no_answer_to_be_judged(self) -> None:
        sink = Sink()
        own = guarding(Engine(sinks=[sink]), pre_plan=BLOCK, refusal="No.")
        config: Any = {"configurable": {"thread_id": "1"}}
        assert app([own]).invoke({"messages": [HumanMessage(SAID)]}, config)["messages"][-1].content == "No."
        assert sink.stages == ["pre_plan"]

    def test_what_they_add_after_the_agent_comes_after_it(self) -> None:
        class Adds(AgentMiddleware[Any, Any, Any]):
            def after_agent(self, state: Any, runtime: Any) -> Any:
                return {"messages": [AIMessage(SAID)]}

        for others, said in (([Adds(), guarding()], SAID), ([guarding(), Adds()], CLEAN)):
            made = app(others, says("fine"))
            assert made.invoke(HI, {"configurable": {"thread_id": "1"}})["messages"][-1].content == said

    def test_what_they_make_of_a_tools_result_stays_in_the_thread_until_the_model_is_asked(self) -> None:
        def replaced(result: ToolMessage) -> ToolMessage:
            return result.model_copy(update={"content": SAID})

        made = app([AroundTools(replaced), guarding()], says(calling("lookup", name="A"), "done"), [lookup])
        seen = list(made.stream(HI, {"configurable": {"thread_id": "1"}}, stream_mode="values"))
        assert [outputs(state["messages"]) for state in seen if outputs(state["messages"])][:1] == [[SAID]]
        assert outputs(seen[-1]["messages"]) == [CLEAN]
