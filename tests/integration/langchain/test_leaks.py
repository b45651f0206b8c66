"""The leak matrix: canaries in the input, the reply and a tool's result, and every place where one could be seen.

One row per way to run an application, one column per way to guard it. A cell lists the canaries that may be seen
raw, since the framework shows them before any guard is asked or behind its back; the documentation says so, and says
what to do about it. Every other cell is clean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_core.tracers.base import BaseTracer
from langgraph.checkpoint.memory import MemorySaver

from guardrails_plugin.langchain import GuardMiddleware, guard_model
from tests.integration.langchain.fakes import calling, guard, says

IN, OUT, TOOL = "536-90-4399", "219-09-9998", "457-55-5463"
CANARIES = {"in": IN, "out": OUT, "tool": TOOL}
QUESTION = f"My SSN is {IN}, thanks."
ANSWER = f"Let me see. Your SSN is {OUT}, I think. " + "And the story goes on, so that something streams. " * 4


@tool
def lookup(name: str) -> str:
    """Look somebody up."""
    return f"The SSN of {name} is {TOOL}, they say."


def model() -> Any:
    return says(calling("lookup", name="Ann"), ANSWER)


def behind_guard() -> Any:
    """A plain model with guards before and behind it."""
    return guard("llm_prompt") | says(ANSWER) | guard("response")


def guarded_model() -> Any:
    return guard_model(says(ANSWER), prompt=guard("llm_prompt"), response=guard("response"))


def guard_and_guarded_model() -> Any:
    return guard("prompt") | guarded_model()


def middleware(saver: Any = None) -> Any:
    stages = ("pre_plan", "llm_prompt", "response", "pre_tool", "post_tool")
    own = GuardMiddleware(**{stage: guard(stage) for stage in stages})  # type: ignore[arg-type]
    return create_agent(model(), [lookup], middleware=[own], checkpointer=saver)


def guard_and_middleware() -> Any:
    return guard("pre_plan") | middleware()


def invoke(app: Any, value: Any) -> Any:
    return [app.invoke(value), asyncio.run(app.ainvoke(value))]


def stream(app: Any, value: Any) -> Any:
    async def run() -> list[Any]:
        return [chunk async for chunk in app.astream(value)]

    return [*app.stream(value), *asyncio.run(run())]


def outputs_only(events: list[Any]) -> list[Any]:
    """Without what the caller put in: the first event of a run tells its input."""
    return [event for event in events if not str(event.get("event")).endswith("_start")]


def events_v2(app: Any, value: Any) -> Any:
    async def run() -> list[Any]:
        return [event async for event in app.astream_events(value, version="v2")]

    events = asyncio.run(run())
    return [
        {**event, "data": {k: v for k, v in event["data"].items() if k != "input"}} for event in outputs_only(events)
    ]


def events_v3(app: Any, value: Any) -> Any:
    async def run() -> list[Any]:
        found = app.astream_events(value, version="v3")
        found = await found if asyncio.iscoroutine(found) else found
        return [event async for event in found]

    return asyncio.run(run())


def mode(name: str) -> Callable[[Any, Any], Any]:
    def run(app: Any, value: Any) -> Any:
        async def later() -> list[Any]:
            return [chunk async for chunk in app.astream(value, stream_mode=name)]

        return [*app.stream(value, stream_mode=name), *asyncio.run(later())]

    return run


class Tracer(BaseTracer):
    """What a tracing service would store: inputs and outputs of every run."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[str] = []

    def _persist_run(self, run: Any) -> None:
        pending = [run]
        while pending:
            one = pending.pop()
            self.stored.append(repr((one.inputs, one.outputs, one.error, one.events)))
            pending += one.child_runs


def traces(app: Any, value: Any) -> Any:
    tracer = Tracer()
    app.invoke(value, {"callbacks": [tracer]})
    assert tracer.stored
    return tracer.stored


def seen(places: Any) -> set[str]:
    shown = repr(places)
    return {name for name, value in CANARIES.items() if value in shown}


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "invoke": invoke,
    "stream": stream,
    "events v2": events_v2,
    "events v3": events_v3,
    "traces": traces,
}
UNAVOIDABLE: dict[tuple[str, str], set[str]] = {
    # A guard behind a model cannot take back what the model's own run has shown: use guard_model.
    ("behind_guard", "events v2"): {"out"},
    # The application's own input, and what the model said to its own run.
    ("behind_guard", "traces"): {"in", "out"},
    # LangChain tells handlers the prompt before any code of a model runs: put a Guard in front.
    ("guarded_model", "traces"): {"in"},
    ("guard_and_guarded_model", "traces"): {"in"},
}


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", [behind_guard, guarded_model, guard_and_guarded_model])
def test_models(build: Callable[[], Any], way: str) -> None:
    if way == "events v3" and build is not guarded_model:
        with pytest.raises(NotImplementedError, match="only supported on"):  # chains have no v3 events
            WAYS[way](build(), QUESTION)
        return
    leaks = seen(WAYS[way](build(), QUESTION))
    assert leaks == UNAVOIDABLE.get((build.__name__, way), set())


MODES = {f"mode {name}": mode(name) for name in ("values", "updates", "messages", "custom", "tasks", "checkpoints")}
AGENT_UNAVOIDABLE: dict[str, set[str]] = {
    # LangGraph shows the input as a first value; before any hook has run. Put Guard("pre_plan") in front.
    "mode values": {"in"},
    "mode tasks": {"in"},
    "events v3": {"in"},
    "traces": {"in"},
}


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("way", [*WAYS, *MODES])
def test_agents(way: str) -> None:
    value = {"messages": [HumanMessage(QUESTION)]}
    leaks = seen(({**WAYS, **MODES})[way](middleware(), value))
    assert leaks == AGENT_UNAVOIDABLE.get(way, set())


@pytest.mark.parametrize("way", ["invoke", "stream", "events v2", "traces"])
def test_agents_behind_a_guard(way: str) -> None:
    """Only the root run of the application tells its own input."""
    leaks = seen(WAYS[way](guard_and_middleware(), {"messages": [HumanMessage(QUESTION)]}))
    assert leaks == ({"in"} if way == "traces" else set())


def test_an_agents_model_run_tells_handlers_a_guarded_prompt() -> None:
    class Told(BaseCallbackHandler):
        prompts: ClassVar[list[Any]] = []

        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            self.prompts.append((serialized, messages, kwargs))

    stages: Any = {stage: guard(stage) for stage in ("llm_prompt", "response", "pre_tool", "post_tool")}
    app: Any = create_agent(model(), [lookup], middleware=[GuardMiddleware(pre_plan=False, **stages)])
    app.invoke({"messages": [HumanMessage(QUESTION)]}, {"callbacks": [Told()]})
    assert len(Told.prompts) == 2
    assert seen(Told.prompts) == set()


@pytest.mark.parametrize("front", [False, True])
def test_checkpoints_hold_the_raw_input_only_where_no_guard_stands_in_front(front: bool) -> None:
    saver = MemorySaver()
    app = guard("pre_plan") | middleware(saver) if front else middleware(saver)
    config: Any = {"configurable": {"thread_id": "1"}}
    app.invoke({"messages": [HumanMessage(QUESTION)]}, config)
    stored = [repr(saver.serde.loads_typed(blob)) for blob in saver.blobs.values() if blob[0] != "empty"]
    stored += [repr(saver.serde.loads_typed(write[2])) for writes in saver.writes.values() for write in writes.values()]
    assert stored
    assert seen(stored) == (set() if front else {"in"})
    assert seen(list(saver.list(config))) == (set() if front else {"in"})
