"""LangChain's own standard suites on our wrappers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_tests.integration_tests import (
    ChatModelIntegrationTests,
    RetrieversIntegrationTests,
    ToolsIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests
from pydantic import Field

from guardrails_plugin import Engine, Recipe, Rule
from guardrails_plugin.langchain.chat_model import GuardedChatModel
from guardrails_plugin.langchain.retriever import GuardedRetriever
from guardrails_plugin.langchain.tools import guard_tools
from guardrails_plugin.langchain.vectorstore import GuardVectorStore
from guardrails_plugin.types import Stage
from tests.integration.langchain.fakes import SAID, Says, guard

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _answer(messages: list[BaseMessage]) -> str:
    return f"You said: {messages[-1].text}"


class Calls(Says):
    """Calls the tool it is offered when a person speaks: values are what was said, or its first number."""

    replies: list[Any] = Field(default_factory=lambda: [_answer])

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(one)["function"] for one in tools], **kwargs)

    def _reply(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        reply = super()._reply(messages, kwargs)
        offered = {one["name"]: one["parameters"]["properties"] for one in kwargs.get("tools", ())}
        if not offered or not isinstance(messages[-1], HumanMessage):
            return reply
        name = next((name for name in offered if name == kwargs.get("tool_choice")), next(iter(offered)))
        number = int(next(iter(re.findall(r"\d+", messages[-1].text)), "1"))
        args = {
            key: number if schema.get("type") == "integer" else messages[-1].text
            for key, schema in offered[name].items()
        }
        call: Any = {"name": name, "args": args, "id": "call-1", "type": "tool_call"}
        return reply.model_copy(update={"content": "", "tool_calls": [call]})


class GuardedSays(GuardedChatModel):
    """The guarded model as the suites make one: by its class and keyword arguments."""

    inner: Any = Field(default_factory=Calls)
    prompt: Any = Field(default_factory=lambda: guard("llm_prompt"))
    response: Any = Field(default_factory=lambda: guard("response"))
    temperature: float | None = None
    streaming: bool = False
    max_tokens: int | None = None
    timeout: float | None = None
    stop: list[str] | None = None
    max_retries: int | None = None
    api_key: str | None = None


class _Model:
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return GuardedSays

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {}


class TestChatModelUnit(_Model, ChatModelUnitTests):
    pass


class TestChatModelIntegration(_Model, ChatModelIntegrationTests):
    pass


def _multiply(a: int, b: int) -> int:
    return a * b


class _Tool:
    @property
    def tool_constructor(self) -> BaseTool:
        made = StructuredTool.from_function(_multiply, name="multiply", description="Multiply two numbers.")
        return guard_tools([made], pre_tool=guard("pre_tool"), post_tool=guard("post_tool"))[0]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"a": 2, "b": 3}


class TestToolUnit(_Tool, ToolsUnitTests):
    pass


class TestToolIntegration(_Tool, ToolsIntegrationTests):
    pass


class Finds(BaseRetriever):
    k: int = 5

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [Document(page_content=f"{query} {number}") for number in range(k or self.k)]


class GuardedFinds(GuardedRetriever):
    """Takes the inner retriever's ``k``, as the suite wants it."""

    def __init__(self, k: int = 5, **fields: Any) -> None:
        super().__init__(inner=Finds(k=k), post_tool=guard("post_tool"), **fields)


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return GuardedFinds

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {}

    @property
    def retriever_query_example(self) -> str:
        return "example"


def _store(action: str | None) -> VectorStore:
    """A store whose guards do this with personal data; None finds nothing."""
    rules = [] if action is None else [Rule.model_validate({"detector": "pii", "action": action})]
    stages = ("ingestion", "post_tool")
    engine = Engine(recipes=[Recipe(name=stage, stage=Stage(stage), rules=rules) for stage in stages])
    return GuardVectorStore(InMemoryVectorStore(DeterministicFakeEmbedding(size=6)), engine=engine)


class TestVectorStoreThatAllowsAll(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        return _store(None)


class TestVectorStoreThatRedacts(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        return _store("redact")


def test_the_stores_of_the_suites_do_what_they_are_named_for() -> None:
    for action, found in ((None, SAID), ("redact", "My SSN is …, thanks.")):
        store = _store(action)
        store.add_texts([SAID])
        assert [document.page_content for document in store.similarity_search("x")] == [found]


def test_the_model_of_the_suites_is_guarded() -> None:
    assert "<US_SSN>" in str(GuardedSays().invoke([HumanMessage("My SSN is 536-90-4399.")]).content)
