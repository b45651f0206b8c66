"""What is behind a guard: called with the config of the run around it, and seen by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.documents import Document
from langchain_core.globals import set_debug
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, RunnableLambda

from guardrails_plugin.langchain import guard_model, guard_retriever
from tests.integration.langchain.fakes import CLEAN, RAW, SAID, Says, guard, says


class Finds(BaseRetriever):
    text: str = "A"

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(self.text)]


def guarded_model(inner: Any) -> Any:
    return guard_model(inner, prompt=guard("llm_prompt"), response=guard("response"))


def guarded_retriever(inner: Any) -> Any:
    return guard_retriever(inner, post_tool=guard("post_tool"))


def answers(app: Any, config: Any) -> dict[str, str]:
    """What it answers by every way of calling it."""

    async def everything() -> dict[str, Any]:
        return {
            "ainvoke": await app.ainvoke("hi", config),
            "abatch": (await app.abatch(["hi"], config))[0],
            "astream": [chunk async for chunk in app.astream("hi", config)],
        }

    found = {
        "invoke": app.invoke("hi", config),
        "batch": app.batch(["hi"], config)[0],
        "stream": list(app.stream("hi", config)),
        "with_config": app.with_config(**config).invoke("hi"),
        **asyncio.run(everything()),
    }
    return {way: said(answer) for way, answer in found.items()}


def said(answer: Any) -> str:
    if isinstance(answer, list):
        return "".join(said(one) for one in answer)
    return str(answer.page_content if isinstance(answer, Document) else answer.text)


@pytest.mark.parametrize("kind", ["model", "retriever"])
def test_configurable_values_choose_what_runs(kind: str) -> None:
    field = ConfigurableField(id="which")
    if kind == "model":
        app = guarded_model(says("A").configurable_alternatives(field, default_key="a", B=says("B")))
    else:
        app = guarded_retriever(Finds().configurable_fields(text=field))
    assert set(answers(app, {"configurable": {"which": "B"}}).values()) == {"B"}
    assert said(app.invoke("hi")) == "A"


class Told(BaseCallbackHandler):
    """What a handler is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.seen.append(repr(response))

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.seen.append(token)

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.seen.append(repr(documents))


CARRIES: dict[str, Any] = {
    "own": lambda told: says(SAID, callbacks=[told]),
    "manager": lambda told: says(SAID, callbacks=CallbackManager([told])),
    "config": lambda told: says(SAID).with_config(callbacks=[told]),
    "within retries": lambda told: says(SAID, callbacks=[told]).with_retry(),
    "within fallbacks": lambda told: says(SAID, callbacks=[told]).with_fallbacks([says("x")]),
    "retriever": lambda told: Finds(text=SAID).with_config(callbacks=[told]),
}


@pytest.mark.parametrize("way", CARRIES)
def test_handlers_that_it_carries_are_told_the_guarded_run_once(way: str) -> None:
    told, raw = Told(), Told()
    guarded = guarded_retriever if way == "retriever" else guarded_model
    assert said(guarded(CARRIES[way](told)).invoke("hi")) == CLEAN
    assert len(told.seen) == 1
    assert CLEAN in told.seen[0]
    assert RAW not in told.seen[0]
    inner = CARRIES[way](raw)
    list(guarded(inner).stream("hi"))
    assert RAW not in "".join(raw.seen)
    inner.invoke("hi")
    assert RAW in raw.seen[-1], "the application's object is as it was"


def test_they_stay_when_tools_are_bound_and_leave_with_their_model() -> None:
    class Copies(Says):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    first, second = Told(), Told()
    model = guarded_model(says(SAID, kind=Copies, callbacks=[first]))
    model.bind_tools([]).invoke("hi")
    assert len(first.seen) == 1
    model.around(says(SAID, callbacks=[second])).invoke("hi")
    assert (len(first.seen), len(second.seen)) == (1, 1)


@pytest.mark.parametrize("kind", ["model", "retriever"])
def test_handlers_of_the_surroundings_are_not_told_the_run_of_a_bound_one(kind: str) -> None:
    told = Told()
    bound: Any = says(SAID).bind(stop=["x"]) if kind == "model" else Finds(text=SAID).with_config(tags=["x"])
    app = (guarded_model if kind == "model" else guarded_retriever)(bound)
    chain = RunnableLambda(lambda value: value) | app
    answers(app, {"callbacks": [told]})
    answers(chain, {"callbacks": [told]})
    assert told.seen
    assert RAW not in "".join(told.seen)


def test_debugging_prints_the_guarded_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    set_debug(True)
    try:
        answers(guarded_model(says(SAID)), {})
        answers(guarded_retriever(Finds(text=SAID)), {})
    finally:
        set_debug(False)
    printed = capsys.readouterr().out
    assert "<US_SSN>" in printed
    assert RAW not in printed
