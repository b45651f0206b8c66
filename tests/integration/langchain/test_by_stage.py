"""Recipes and overrides by stage, in the words that the doors for LlamaIndex have for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from mcp.types import CallToolResult, TextContent

from guardrails_plugin import ConfigError, Engine, GuardBlocked, Recipe, Rule
from guardrails_plugin.langchain import (
    Guard,
    GuardCallbackHandler,
    GuardChatMessageHistory,
    GuardDocumentCompressor,
    GuardDocumentTransformer,
    GuardMCPInterceptor,
    GuardMiddleware,
    GuardVectorStore,
    guard_model,
    guard_retriever,
    guard_tools,
    tool_node_wrappers,
)
from tests.integration.langchain.fakes import calling, outputs, says
from tests.integration.langchain.test_history import Stored

SAID = "HD-58213 waits."
TICKETS = {"patterns": {"TICKET": "HD-[0-9]{5}"}}


@pytest.fixture(scope="module")
def engine() -> Engine:
    rule = Rule(detector="regex", name="numbers", action="replace", settings=TICKETS)
    return Engine(recipes=[Recipe(name="tickets", rules=[rule])])


@tool
def look_up(name: str) -> str:
    """Look something up."""
    return SAID


class Finds(BaseRetriever):
    """Finds the same for every query."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document(SAID)]


def _by_model(**given: Any) -> str:
    return str(guard_model(says(SAID), prompt=False, **given).invoke("Hi.").content)


def _by_agent(**given: Any) -> str:
    off: Any = dict.fromkeys(("pre_plan", "llm_prompt", "response", "pre_tool"), False)
    agent = create_agent(
        says(calling("look_up", name="Ann"), "Done."), [look_up], middleware=[GuardMiddleware(**off, **given)]
    )
    return outputs(agent.invoke({"messages": [HumanMessage("Hi.")]})["messages"])[0]


def _by_tool(**given: Any) -> str:
    return str(guard_tools([look_up], pre_tool=False, **given)[0].invoke({"name": "Ann"}))


def _by_history(**given: Any) -> str:
    history = GuardChatMessageHistory(Stored(), **given)
    history.add_messages([HumanMessage(SAID)])
    return str(history.messages[0].content)


def _by_store(**given: Any) -> str:
    embedding = DeterministicFakeEmbedding(size=4)
    store = GuardVectorStore.from_texts([SAID], embedding, store=InMemoryVectorStore, post_tool=False, **given)
    return store.similarity_search("Ann")[0].page_content


def _by_retriever(**given: Any) -> str:
    return guard_retriever(Finds(), **given).invoke("Ann")[0].page_content


def _by_transformer(**given: Any) -> str:
    return GuardDocumentTransformer(**given).transform_documents([Document(SAID)])[0].page_content


def _by_compressor(**given: Any) -> str:
    return GuardDocumentCompressor(**given).compress_documents([Document(SAID)], "Ann")[0].page_content


def _by_interceptor(**given: Any) -> str:
    async def handler(request: MCPToolCallRequest) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=SAID)])

    call = MCPToolCallRequest(name="look_up", args={}, server_name="crm")
    guarded = asyncio.run(GuardMCPInterceptor(pre_tool=False, **given)(call, handler))
    return str(guarded.content[0].text)


DOORS: list[tuple[str, Callable[..., str]]] = [
    ("response", _by_model),
    ("post_tool", _by_agent),
    ("post_tool", _by_tool),
    ("prompt", _by_history),
    ("ingestion", _by_store),
    ("post_tool", _by_retriever),
    ("ingestion", _by_transformer),
    ("post_tool", _by_compressor),
    ("post_tool", _by_interceptor),
]


@pytest.mark.parametrize(("stage", "door"), DOORS, ids=lambda given: getattr(given, "__name__", given))
def test_a_door_takes_recipes_and_overrides_by_stage(stage: str, door: Callable[..., str], engine: Engine) -> None:
    everywhere = dict.fromkeys(("prompt", "llm_prompt", "post_tool", "ingestion", "response"), "tickets")
    assert door(engine=engine, recipes=everywhere) == "<TICKET> waits."
    others = {name: recipe for name, recipe in everywhere.items() if name != stage}
    assert door(engine=engine, recipes=others) == SAID
    reported = {stage: {"numbers": {"action": "report"}}}
    assert door(engine=engine, recipes=everywhere, overrides=reported) == SAID


def test_callbacks_take_them_too(engine: Engine) -> None:
    blocked = {"llm_prompt": {"numbers": {"action": "block"}}}
    handler = GuardCallbackHandler(engine=engine, recipes={"llm_prompt": "tickets"}, overrides=blocked)
    with pytest.raises(GuardBlocked, match="llm_prompt"):
        says("Hi.").invoke(SAID, {"callbacks": [handler]})


MAKERS: list[Callable[..., Any]] = [
    GuardMiddleware,
    tool_node_wrappers,
    GuardMCPInterceptor,
    GuardCallbackHandler,
    GuardDocumentCompressor,
    lambda **given: guard_tools([look_up], **given),
    lambda **given: GuardVectorStore(InMemoryVectorStore(DeterministicFakeEmbedding(size=4)), **given),
    lambda **given: guard_retriever(Finds(), **given),
    lambda **given: GuardChatMessageHistory(Stored(), **given),
]


@pytest.mark.parametrize("make", MAKERS)
def test_a_mistake_is_said_when_the_door_is_made(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"recipes: expected a mapping of stages .* got str"):
        make(recipes="financial")
    with pytest.raises(ConfigError, match=r"stage 'answer'.*response"):
        make(recipes={"answer": "financial"})
    with pytest.raises(ConfigError, match="financal"):
        make(recipes={"post_tool": "financal"})
    with pytest.raises(ConfigError, match="post_tool: expected a Guard or recipe of this stage, got both"):
        make(post_tool=Guard("post_tool"), recipes={"post_tool": "financial"})
    with pytest.raises(ConfigError, match="post_tool: expected a Guard or overrides of this stage, got both"):
        make(post_tool=Guard("post_tool"), overrides={"post_tool": {"pii": {"contact": "mask"}}})


def test_a_switched_off_stage_stays_off(engine: Engine) -> None:
    assert guard_model(says(SAID), response=False, engine=engine, recipes={"response": "tickets"}).response is None
