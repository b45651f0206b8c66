"""Exceptions of tools, models and retrievers: nobody is shown what they say before it was guarded."""

from __future__ import annotations

import asyncio
import traceback
from typing import Annotated, Any

import httpx
import openai
import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import StructuredTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode
from langgraph.types import Command, interrupt
from pydantic import ValidationError

from guardrails_plugin import ContentError, GuardBlocked
from guardrails_plugin.langchain import (
    GuardMiddleware,
    guard_model,
    guard_retriever,
    guard_tools,
    tool_node_wrappers,
)
from guardrails_plugin.langchain.check import check_at
from guardrails_plugin.langchain.failures import ToolFailedError, guarded_failure
from guardrails_plugin.langchain.tool_gate import ToolGate
from guardrails_plugin.types import Stage
from tests.integration.langchain.fakes import BLOCK, CLEAN, RAW, SAID, calling, guard, outputs, says


class OddError(Exception):
    """One that its constructor does not make of its arguments."""

    def __init__(self, *, body: str) -> None:
        super().__init__(body)


class QuotingError(Exception):
    """One that says more than its arguments."""

    def __str__(self) -> str:
        return SAID


def failing(error: Exception, cause: Exception | None = None, **options: Any) -> StructuredTool:
    def fail(x: str) -> str:
        """Fail."""
        raise error from cause

    return StructuredTool.from_function(fail, name="fail", **options)


def options(post: Any = None) -> dict[str, Any]:
    return {
        "pre_tool": guard("pre_tool"),
        "post_tool": guard("post_tool", **({} if post is None else {"overrides": post})),
    }


def raised(tool: Any, *, asynchronous: bool = False) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        asyncio.run(tool.ainvoke({"x": "a"})) if asynchronous else tool.invoke({"x": "a"})
    return caught.value


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError(SAID), ValueError, CLEAN),
        (KeyError(SAID), KeyError, repr(CLEAN)),
        (OSError(2, SAID), FileNotFoundError, f"[Errno 2] {CLEAN}"),
        (ToolException(SAID), ToolException, CLEAN),
        (OddError(body=SAID), OddError, CLEAN),
        (QuotingError("x"), ToolFailedError, CLEAN),
        (ValueError(object(), SAID), ToolFailedError, None),
    ],
)
def test_they_leave_guarded_with_their_type(
    error: Exception, kind: type[Exception], text: str | None, asynchronous: bool
) -> None:
    (own,) = guard_tools([failing(error)], **options())
    seen = raised(own, asynchronous=asynchronous)
    assert type(seen) is kind
    assert text is None or str(seen) == text
    assert RAW not in "".join(traceback.format_exception(seen))


@pytest.mark.parametrize("noted", [False, True])
def test_so_do_their_causes_and_notes(noted: bool) -> None:
    error: Any = ValueError("No such customer.")
    if noted:
        error.__notes__ = [SAID]  # what add_note does, from Python 3.11 on
    (own,) = guard_tools([failing(error, None if noted else KeyError(SAID))], **options())
    seen = raised(own)
    assert (type(seen), str(seen)) == (ValueError, "No such customer.")
    assert seen.__cause__ is None
    assert RAW not in "".join(traceback.format_exception(seen))


def test_one_that_says_nothing_to_be_guarded_is_the_tools_own() -> None:
    error = ValueError("No such customer.")
    assert raised(guard_tools([failing(error)], **options())[0]) is error
    assert raised(guard_tools([failing(error)], **{**options(), "post_tool": False})[0]) is error


def test_a_refused_one_says_that_it_was_refused_or_is_the_refusal() -> None:
    (own,) = guard_tools([failing(ValueError(SAID))], **options(BLOCK))
    seen = raised(own)
    assert isinstance(seen, ValueError)
    assert "blocked by policy" in str(seen)
    (raising,) = guard_tools([failing(ValueError(SAID))], **options(BLOCK), on_block="raise")
    blocked = raised(raising)
    assert isinstance(blocked, GuardBlocked)
    assert RAW not in repr(blocked.__context__)


def app(*tools: Any, saver: Any = None, **wrappers: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(list(tools), **wrappers))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    return graph.compile(checkpointer=saver)


@pytest.mark.parametrize("how", ["wrapped tools", "hooks"])
def test_a_tool_node_that_handles_errors_shows_models_guarded_ones(how: str) -> None:
    tool = failing(ValueError(SAID))
    if how == "hooks":
        node = app(tool, handle_tool_errors=True, **tool_node_wrappers(**options()))
    else:
        node = app(*guard_tools([tool], **options()), handle_tool_errors=(ValueError,))
    (told,) = outputs(node.invoke({"messages": [HumanMessage("hi"), calling("fail", x="a")]})["messages"])
    assert "ValueError" in told if how == "wrapped tools" else told
    assert CLEAN in told


def test_an_agent_is_left_by_guarded_ones() -> None:
    agent: Any = create_agent(
        says(calling("fail", x="a"), "Done."),
        [failing(ValueError(SAID))],
        middleware=[GuardMiddleware(**options(), pre_plan=False, llm_prompt=False, response=False)],
    )
    with pytest.raises(ValueError, match="<US_SSN>") as caught:
        agent.invoke({"messages": [("user", "hi")]})
    assert RAW not in "".join(traceback.format_exception(caught.value))


def test_interrupts_of_a_tool_pass_with_what_they_ask_guarded() -> None:
    def ask(x: str) -> str:
        """Ask."""
        return f"{interrupt(SAID)} {x}"

    node = app(*guard_tools([ask], **options()), saver=InMemorySaver(), handle_tool_errors=True)
    config: Any = {"configurable": {"thread_id": "1"}}
    stopped = node.invoke({"messages": [HumanMessage("hi"), calling("ask", x="a")]}, config)
    assert stopped["__interrupt__"][0].value == CLEAN
    assert outputs(node.invoke(Command(resume="yes"), config)["messages"]) == ["yes a"]


def test_what_cannot_be_guarded_is_not_told() -> None:
    class Helpless(ToolGate):
        def guarded(self, result: Any) -> Any:
            raise ContentError("cannot be guarded")

    gate = Helpless(None, check_at(True, Stage.POST_TOOL))
    for error in (ValueError(SAID), ToolException(SAID)):
        told = guarded_failure(error, gate, "fail")
        assert RAW not in repr(told)
        assert "left out" in str(told)


def limited(said: str = SAID) -> openai.RateLimitError:
    """What OpenAI's client raises; its constructor wants more than its arguments."""
    headers = {"Retry-After": "7", "x-ratelimit-remaining-requests": "0", "set-cookie": said}
    request = httpx.Request("POST", "https://api.openai.com/v1/chat/completions", json={"messages": [said]})
    answer: Any = httpx.Response(429, headers=headers, json={"message": said}, request=request)
    return openai.RateLimitError(said, response=answer, body={"message": said, "code": "rate_limit_exceeded"})


class Told(BaseCallbackHandler):
    """What handlers are told of an error."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append((repr(error), vars(error), kwargs.get("response")))

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append((repr(error), vars(error)))


def guarded_model(*replies: Any, **overrides: Any) -> Any:
    return guard_model(says(*replies), prompt=guard("llm_prompt"), response=guard("response", **overrides))


def raises(error: Exception) -> Any:
    def reply(_: Any) -> str:
        raise error

    return reply


class Finds(BaseRetriever):
    error: Any

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
        raise self.error


async def everything(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


def ways(error: Exception, **overrides: Any) -> dict[str, Any]:
    """Every way to call a model or retriever that raises it."""
    model = guarded_model(raises(error), **overrides)
    retriever = guard_retriever(Finds(error=error), post_tool=guard("post_tool", **overrides))
    return {
        "invoke": lambda config: model.invoke("hi", config),
        "stream": lambda config: list(model.stream("hi", config)),
        "ainvoke": lambda config: asyncio.run(model.ainvoke("hi", config)),
        "astream": lambda config: asyncio.run(everything(model.astream("hi", config))),
        "retriever": lambda config: retriever.invoke("hi", config),
        "async retriever": lambda config: asyncio.run(retriever.ainvoke("hi", config)),
    }


@pytest.mark.parametrize("way", ways(ValueError()))
class TestModelsAndRetrievers:
    def raised(self, way: str, error: Exception, **overrides: Any) -> Any:
        told = Told()
        with pytest.raises(type(error)) as caught:
            ways(error, **overrides)[way]({"callbacks": [told]})
        assert told.seen
        assert RAW not in repr(told.seen)
        assert RAW not in "".join(traceback.format_exception(caught.value))
        return caught.value

    def test_theirs_leave_guarded_with_type_and_what_retries_read(self, way: str) -> None:
        seen = self.raised(way, limited())
        assert str(seen) == seen.message == seen.body["message"] == CLEAN
        assert (seen.status_code, seen.code, seen.response.status_code) == (429, "rate_limit_exceeded", 429)
        assert (seen.response.headers["retry-after"], seen.response.text) == ("7", "")
        assert seen.__context__ is None

    def test_one_that_says_nothing_is_their_own(self, way: str) -> None:
        error = limited("Slow down.")
        assert self.raised(way, error) is error
        assert error.response.json() == {"message": "Slow down."}

    def test_a_refused_one_keeps_its_type(self, way: str) -> None:
        seen = self.raised(way, limited(), overrides=BLOCK)
        assert "blocked by policy" in str(seen)
        assert (seen.status_code, seen.body) == (429, None)


def test_retries_and_fallbacks_find_the_type_that_they_look_for() -> None:
    kinds: Any = (openai.RateLimitError,)
    model = guarded_model(raises(limited()), "Fine.").with_retry(
        retry_if_exception_type=kinds, wait_exponential_jitter=False
    )
    assert model.invoke("hi").content == "Fine."
    model = guarded_model(raises(limited())).with_fallbacks([says("Later.")], exceptions_to_handle=kinds)
    assert model.invoke("hi").content == "Later."


MAIL = "ann@example.com"
"""What no recipe of a tool changes."""

INVALID = "The arguments are not valid: amount: Input should be a valid integer, unable to parse string as an integer."


@tool
def pay(to: str, amount: int, state: Annotated[Any, InjectedState] = None) -> str:
    """Pay somebody."""
    return f"{amount} paid to {to}."


class Errors(BaseCallbackHandler):
    """Errors and results of tools, as handlers are told them."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen += [repr(error), str(error), getattr(error, "errors", list)()]

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.seen.append(output)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("door", ["guard_tools", "wrappers"])
def test_arguments_that_do_not_fit_are_told_without_their_values(door: str, asynchronous: bool) -> None:
    own: Any = options()
    node = (
        ToolNode(guard_tools([pay], **own)) if door == "guard_tools" else ToolNode([pay], **tool_node_wrappers(**own))
    )
    graph = StateGraph(MessagesState).add_node("tools", node).add_edge(START, "tools").compile()
    told = Errors()
    asked: Any = {"messages": [calling("pay", to="Ann", amount=MAIL)]}
    config: Any = {"callbacks": [told]}
    result = asyncio.run(graph.ainvoke(asked, config)) if asynchronous else graph.invoke(asked, config)
    answer = result["messages"][-1]
    assert (answer.content, answer.status) == (INVALID, "error")
    assert told.seen
    assert MAIL not in repr(told.seen)


def test_whoever_calls_the_tool_gets_pydantics_error_without_them() -> None:
    told = Errors()
    (guarded,) = guard_tools([pay], **options())
    with pytest.raises(ValidationError, match="amount") as caught:
        guarded.invoke({"to": "Ann", "amount": MAIL}, {"callbacks": [told]})
    assert MAIL not in f"{caught.value!r} {traceback.format_exception(caught.value)} {told.seen}"


def test_a_tools_own_rule_for_them_is_followed() -> None:
    handled = pay.model_copy(update={"handle_validation_error": lambda error: f"Sorry: {error}"})
    (guarded,) = guard_tools([handled], **options())
    said = guarded.invoke({"to": "Ann", "amount": MAIL})
    assert said.startswith("Sorry: 1 validation error")
    assert MAIL not in said
