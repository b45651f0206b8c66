"""Guarded models and tools inside of an agent's middleware: what the same policy has judged is not judged again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from guardrails_plugin import Engine
from guardrails_plugin.langchain import GuardMiddleware, guard_model, guard_tools
from tests.integration.langchain.fakes import BLOCK, CLEAN, SAID, calling, guard, outputs, says

STAGES = ("pre_plan", "llm_prompt", "response", "pre_tool", "post_tool")


@tool
def look(a: str) -> str:
    """Look."""
    return SAID


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many checks were made at each stage."""
    made: Counter[str] = Counter()
    own = Engine.check_batch

    def counted(engine: Engine, contents: Any, *, stage: Any, **options: Any) -> Any:
        made[str(stage)] += 1
        return own(engine, contents, stage=stage, **options)

    monkeypatch.setattr(Engine, "check_batch", counted)
    return made


def ran(checks: Counter[str], model: Any, own: Any) -> tuple[list[Any], Counter[str]]:
    stages: dict[str, Any] = {stage: guard(stage) for stage in STAGES}
    middleware = GuardMiddleware(**stages)
    agent: Any = create_agent(model, [own], middleware=[middleware])
    checks.clear()
    messages = agent.invoke({"messages": [HumanMessage("hi")]})["messages"]
    return messages, Counter(checks)


def scripted() -> Any:
    return says(calling("look", a="x"), SAID)


def test_a_model_with_the_same_guards(checks: Counter[str]) -> None:
    plain = ran(checks, scripted(), look)
    model = guard_model(scripted(), prompt=guard("llm_prompt"), response=guard("response"))
    messages, made = ran(checks, model, look)
    assert messages[-1].content == plain[0][-1].content == CLEAN
    assert made == plain[1]


def test_a_model_with_others_keeps_them(checks: Counter[str]) -> None:
    model = guard_model(scripted(), prompt=False, response=guard("response", overrides=BLOCK))
    messages, _ = ran(checks, model, look)
    assert messages[-1].content == "This was blocked by policy."


@pytest.mark.parametrize("overrides", [None, BLOCK])
def test_results_of_guarded_tools(checks: Counter[str], overrides: Any) -> None:
    _, plain = ran(checks, scripted(), look)
    post = guard("post_tool", **({} if overrides is None else {"overrides": overrides}))
    (own,) = guard_tools([look], pre_tool=False, post_tool=post)
    messages, made = ran(checks, scripted(), own)
    if overrides is None:
        assert outputs(messages) == [CLEAN]
        assert made == plain
    else:
        assert "blocked by policy" in outputs(messages)[0]
