"""Where canaries are found in values: everywhere that data is, nowhere that an application is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.workflow import Event, StopEvent

from guardrails_plugin.testing.search import places

CANARY = "536-90-4399"


@dataclass
class Row:
    note: str


def failure(suppressed: bool) -> BaseException:
    try:
        try:
            raise ValueError(CANARY)  # noqa: TRY301
        except ValueError:
            if suppressed:
                raise KeyError("clean") from None
            raise KeyError("clean")  # noqa: B904
    except KeyError as error:
        return error


def noted() -> BaseException:
    error = ValueError("clean")
    error.__notes__ = [f"with {CANARY}"]  # type: ignore[attr-defined]  # what add_note does, from Python 3.11 on
    return error


def carrying() -> BaseException:
    error = ValueError("clean")
    error.matches = [{"value": CANARY}]  # type: ignore[attr-defined]
    return error


FOUND: list[tuple[Any, str]] = [
    (f"SSN {CANARY}", ""),
    (CANARY.encode(), ""),
    ({"a": [{"b c": CANARY}]}, ".a[][b c]"),
    ({CANARY: 1}, "[key]"),
    ({"x": {CANARY: {"y": CANARY}}}, ".x[[key]].y"),
    (AIMessage("", additional_kwargs={"x": CANARY}), ".additional_kwargs.x"),
    (AIMessage("", tool_calls=[{"name": "n", "args": {"ssn": CANARY}, "id": "1"}]), ".tool_calls[].args.ssn"),
    (NodeWithScore(node=TextNode(text="", metadata={"k": CANARY})), ".node.metadata.k"),
    (Event(said=CANARY), "._data.said"),
    (StopEvent(result=Row(CANARY)), "._result.note"),
    (Row(CANARY), ".note"),
    ({CANARY}, "[]"),
    (ValueError(CANARY), ".args[]"),
    (noted(), ".__notes__[]"),
    (carrying(), ".matches[].value"),
    (failure(suppressed=False), ".__context__.args[]"),
    (failure(suppressed=True), ".__context__.args[]"),
]


@pytest.mark.parametrize(("value", "path"), FOUND, ids=lambda value: str(value)[:20] if isinstance(value, str) else "")
def test_found(value: Any, path: str) -> None:
    found = list(places(value, {"ssn": CANARY}))
    assert ("ssn", path) in found
    assert CANARY not in repr(found)


def test_values_that_hold_themselves_end() -> None:
    loop: list[Any] = [CANARY]
    loop.append(loop)
    assert set(places(loop, {"ssn": CANARY})) == {("ssn", "[]")}


def test_what_an_application_is_made_of_is_no_leak() -> None:
    step = RunnableLambda(lambda value: value).bind(secret=CANARY)
    step.__dict__["note"] = CANARY
    assert {path for _, path in places({"step": RunnableLambda(len).with_config(tags=["x"])}, {"ssn": CANARY})} == set()
    # Its repr is what logs and traces show.
    assert all(path.endswith((" repr", " str")) for _, path in places(step, {"ssn": CANARY}))
