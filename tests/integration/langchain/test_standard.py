"""LangChain's own standard suites on our wrappers."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_tests.integration_tests import (
    ChatModelIntegrationTests,
    RetrieversIntegrationTests,
    ToolsIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests
from pydantic import Field

from guardrails_plugin.langchain.chat_model import GuardedChatModel
from guardrails_plugin.langchain.retriever import GuardedRetriever
from guardrails_plugin.langchain.tools import guard_tools
from guardrails_plugin.langchain.vectorstore import GuardVectorStore
from tests.integration.langchain.fakes import Says, guard

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _answer(messages: list[BaseMessage]) -> str:
    return f"You said: {messages[-1].text}"


class GuardedSays(GuardedChatModel):
    """The guarded model as the suites make one: by its class and keyword arguments."""

    inner: Any = Field(default_factory=lambda: Says(replies=[_answer]))
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

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


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


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        store = InMemoryVectorStore(DeterministicFakeEmbedding(size=6))
        return GuardVectorStore(store, ingestion=guard("ingestion"), post_tool=guard("post_tool"))


def test_the_model_of_the_suites_is_guarded() -> None:
    assert "<US_SSN>" in str(GuardedSays().invoke([HumanMessage("My SSN is 536-90-4399.")]).content)
