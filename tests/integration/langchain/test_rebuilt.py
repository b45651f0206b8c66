"""LangChain makes objects anew from their fields; every one of ours is still the same guard then."""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, Runnable
from langchain_core.tools import tool
from pydantic import BaseModel

import guardrails_plugin.langchain as ours
from guardrails_plugin import ConfigError, Engine, Keyring, Recipe
from guardrails_plugin.langchain import Guard, guard_model, guard_retriever, guard_tools
from guardrails_plugin.langchain.chat_model import GuardedChatModel
from guardrails_plugin.langchain.documents import GuardDocumentCompressor
from guardrails_plugin.langchain.retriever import GuardedRetriever
from guardrails_plugin.langchain.tools import GuardedTool
from tests.integration.langchain.fakes import RAW, SAID, says

RULES: list[dict[str, Any]] = [{"detector": "pii", "action": "report", "actions": {"sensitive": "encrypt"}}]
STAGES = ("prompt", "llm_prompt", "pre_tool", "post_tool", "response")
ENGINE = Engine(
    recipes=[Recipe.model_validate({"name": stage, "stage": stage, "rules": RULES}) for stage in STAGES],
    keyring=Keyring.generate(),
)
"""Encrypts where the built-in recipes replace: nobody else has its keys."""


class Finds(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document(page_content=SAID)]


@tool
def find(name: str) -> str:
    """Find somebody."""
    return f"{name}: {SAID}"


@dataclass(frozen=True)
class Case:
    """One of our classes, a field of it that may be configured, and how to get a text out of it."""

    made: Any
    field: str
    value: Any
    run: Callable[[Any], Any]


CASES = {
    Guard: Case(Guard("prompt", engine=ENGINE), "refusal", "No.", lambda own: own.invoke(SAID)),
    GuardedChatModel: Case(
        guard_model(says(SAID), engine=ENGINE), "refusal", "No.", lambda own: own.invoke("hi").content
    ),
    GuardedRetriever: Case(
        guard_retriever(Finds(), engine=ENGINE), "on_block", "raise", lambda own: own.invoke("x")[0].page_content
    ),
    GuardedTool: Case(
        guard_tools([find], engine=ENGINE)[0], "description", "Finds.", lambda own: own.invoke({"name": "Ann"})
    ),
    GuardDocumentCompressor: Case(
        GuardDocumentCompressor(engine=ENGINE),
        "on_block",
        "raise",
        lambda own: own.compress_documents([Document(page_content=SAID)], "x")[0].page_content,
    ),
}


RUNNABLES = [case for case in CASES.values() if isinstance(case.made, Runnable)]


def models() -> Iterator[type[BaseModel]]:
    """The pydantic classes of the package that stand for themselves."""
    for module in pkgutil.iter_modules(ours.__path__, f"{ours.__name__}."):
        for name, found in vars(importlib.import_module(module.name)).items():
            own = isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == module.name
            abstract = inspect.isabstract(found) or name.startswith("_")
            if own and not found.__pydantic_generic_metadata__["origin"] and not abstract:
                yield found


def test_every_class_is_looked_at() -> None:
    assert set(models()) == set(CASES)


def encrypted(text: str) -> bool:
    """Whether this is what the engine of these cases, and no other, makes of the text."""
    return RAW not in text and "<US_SSN>" not in text and "SSN is" in text


@pytest.mark.parametrize("case", CASES.values(), ids=[kind.__name__ for kind in CASES])
class TestRebuilt:
    def test_as_it_was_made(self, case: Case) -> None:
        assert encrypted(case.run(case.made))

    def test_from_its_fields(self, case: Case) -> None:
        fields = {name: getattr(case.made, name) for name in type(case.made).model_fields}
        assert encrypted(case.run(type(case.made)(**fields)))

    def test_copied(self, case: Case) -> None:
        for made in (case.made.model_copy(), case.made.model_copy(deep=True), copy.copy(case.made)):
            assert encrypted(case.run(made))


@pytest.mark.parametrize("case", RUNNABLES, ids=lambda case: type(case.made).__name__)
class TestConfigured:
    def test_with_a_field_that_is_configured_when_it_runs(self, case: Case) -> None:
        fields: Any = {case.field: ConfigurableField("it")}
        configured = case.made.configurable_fields(**fields)
        rebuilt, _ = configured.prepare({"configurable": {"it": case.value}})
        assert getattr(rebuilt, case.field) == case.value
        assert encrypted(case.run(rebuilt))
        assert encrypted(case.run(configured.with_config(configurable={"it": case.value})))

    def test_as_an_alternative(self, case: Case) -> None:
        chosen = case.made.configurable_alternatives(ConfigurableField("which"), other=case.made)
        for which in ("default", "other"):
            assert encrypted(case.run(chosen.with_config(configurable={"which": which})))


class TestByHand:
    """Made without the functions that make them, they guard as the stages' recipes say."""

    @pytest.mark.parametrize(
        ("made", "case"),
        [
            (GuardedChatModel(inner=says(SAID)), CASES[GuardedChatModel]),
            (GuardedRetriever(inner=Finds()), CASES[GuardedRetriever]),
            (GuardDocumentCompressor(), CASES[GuardDocumentCompressor]),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_they_guard(self, made: Any, case: Case) -> None:
        text = case.run(made)
        assert RAW not in text
        assert "<US_SSN>" in text

    def test_a_prompt_is_guarded_too(self) -> None:
        inner = says("ok")
        GuardedChatModel(inner=inner).invoke(SAID)
        assert RAW not in repr(inner.seen)

    def test_none_and_false_are_for_no_guard(self) -> None:
        none: Any = False
        assert GuardedChatModel(inner=says(SAID), response=None).invoke("hi").content == SAID
        assert GuardedChatModel(inner=says(SAID), response=none).invoke("hi").content == SAID

    def test_a_guard_of_another_stage_is_not_taken(self) -> None:
        with pytest.raises(ConfigError, match="response: expected a Guard of this stage, got one of stage 'prompt'"):
            GuardedChatModel(inner=says(SAID), response=Guard("prompt"))


class TestDumped:
    def test_a_dumped_guard_is_the_same_guard_when_it_is_made_again(self) -> None:
        for made in (Guard("prompt", engine=ENGINE), GuardDocumentCompressor(engine=ENGINE)):
            again: Any = type(made)(**made.model_dump())
            assert encrypted(CASES[type(made)].run(again))

    def test_json_holds_no_engine_and_is_not_made_of_a_guard_with_its_own(self) -> None:
        assert Guard.model_validate_json(Guard("prompt").model_dump_json()) == Guard("prompt")
        with pytest.raises(Exception, match="keys would travel"):
            Guard("prompt", engine=ENGINE).model_dump_json()
        assert "engine" not in Guard.model_json_schema()["properties"]

    def test_reprs_do_not_hold_it(self) -> None:
        assert "Engine object" not in repr([case.made for case in CASES.values()])


def test_errors_of_configuration_are_ours() -> None:
    with pytest.raises(ConfigError, match="got int"):
        guard_retriever(Finds(), post_tool=1)  # type: ignore[arg-type]
