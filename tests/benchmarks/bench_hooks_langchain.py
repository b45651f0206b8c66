"""What each hook for LangChain adds to an application whose model and tools take no time; see `hooks`.

.venv-bench/bin/python -m pytest -c tests/benchmarks/pytest.ini tests/benchmarks/bench_hooks_langchain.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hooks import FOUND, Application, Pages, Runner, awaited, compare, tokens
from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import BaseDocumentTransformer, Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import BaseTool, tool
from langchain_core.vectorstores import VectorStore
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from guardrails_plugin import Engine
from guardrails_plugin.langchain import (
    Guard,
    GuardCallbackHandler,
    GuardChatMessageHistory,
    GuardDocumentCompressor,
    GuardDocumentTransformer,
    GuardMiddleware,
    GuardVectorStore,
    guard_model,
    guard_retriever,
    guard_tools,
    tool_node_wrappers,
)

CALL: Any = {"name": "look_up", "args": {"query": "the narrow bridge"}, "id": "1", "type": "tool_call"}


class Model(BaseChatModel):
    """Answers with the next page, as a stream too; calls its tool first, where it has one."""

    pages: Any
    tool: str = ""

    @property
    def _llm_type(self) -> str:
        return "pages"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.model_copy(update={"tool": tools[0].name})

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        asked = self.tool and isinstance(messages[-1], HumanMessage)
        reply = AIMessage("", tool_calls=[CALL]) if asked else AIMessage(next(self.pages))
        return ChatResult(generations=[ChatGeneration(message=reply)])


class StreamingModel(Model):
    """A model that streams."""

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for token in tokens(next(self.pages)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=token))


class Found(BaseRetriever):
    """Four documents, whatever is asked."""

    pages: Any

    def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
        return _documents(self.pages)


class Store(VectorStore):
    """Forgets what it is given, finds what it never had."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def add_texts(self, texts: Iterable[str], metadatas: Any = None, **kwargs: Any) -> list[str]:
        return [str(number) for number, _ in enumerate(texts)]

    def similarity_search(self, query: str, k: int = FOUND, **kwargs: Any) -> list[Document]:
        return _documents(self._pages)

    @classmethod
    def from_texts(cls, texts: list[str], embedding: Any, metadatas: Any = None, **kwargs: Any) -> Store:
        raise NotImplementedError


class Splitter(BaseDocumentTransformer):
    """A document a sentence."""

    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> list[Document]:
        return [
            Document(sentence, metadata=document.metadata)
            for document in documents
            for sentence in document.page_content.split(". ")
        ]


def _documents(pages: Pages) -> list[Document]:
    return [Document(next(pages), metadata={"source": "report.txt", "page": number}) for number in range(FOUND)]


def _tool(pages: Pages) -> BaseTool:
    @tool
    def look_up(query: str) -> str:
        """Looks a thing up."""
        return next(pages)

    return look_up


def langchain_chain(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Prompt, model, parser."""
    ask, model, parse = ChatPromptTemplate([("human", "{text}")]), Model(pages=pages), StrOutputParser()
    bare = ask | model | parse
    several = ask | Guard("llm_prompt", engine=engine) | model | Guard("response", engine=engine) | parse
    wrapped = ask | guard_model(model, engine=engine) | parse
    handler = GuardCallbackHandler(engine=engine)
    return {
        "bare": lambda text: bare.invoke({"text": text}),
        "Guard, prompt and reply": lambda text: several.invoke({"text": text}),
        "guard_model": lambda text: wrapped.invoke({"text": text}),
        "GuardCallbackHandler": lambda text: bare.invoke({"text": text}, {"callbacks": [handler]}),
    }


def langchain_stream(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """A reply in two hundred chunks."""
    model = StreamingModel(pages=pages)
    several = Guard("llm_prompt", engine=engine) | model | Guard("response", engine=engine)
    wrapped = guard_model(model, engine=engine)

    return {
        "bare": lambda text: deque(model.stream(text), maxlen=1),
        "Guard, prompt and reply": lambda text: deque(several.stream(text), maxlen=1),
        "guard_model": lambda text: deque(wrapped.stream(text), maxlen=1),
    }


def langchain_cache(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One question asked twice of a model with a cache."""
    bare = Model(pages=pages, cache=InMemoryCache())
    wrapped = guard_model(Model(pages=pages, cache=InMemoryCache()), engine=engine)
    return {
        "bare": lambda text: (bare.invoke(text), bare.invoke(text)),
        "guard_model": lambda text: (wrapped.invoke(text), wrapped.invoke(text)),
    }


def langchain_agent(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One question, one tool call, one answer."""
    regular: list[Any] = [
        PIIMiddleware(kind, strategy="redact", apply_to_output=True, apply_to_tool_results=True)
        for kind in ("email", "credit_card", "ip")
    ]
    model, look_up = Model(pages=pages), _tool(pages)
    bare = create_agent(model, [look_up])
    handler = GuardCallbackHandler(engine=engine)
    agents = {
        "GuardMiddleware, all stages": create_agent(model, [look_up], middleware=[GuardMiddleware(engine=engine)]),
        "guard_tools": create_agent(model, guard_tools([look_up], engine=engine)),
        "PIIMiddleware, three rules": create_agent(model, [look_up], middleware=regular),
    }

    def runner(agent: Any, config: Any = None) -> Runner:
        return lambda text: agent.invoke({"messages": [HumanMessage(text)]}, config)

    return {
        "bare": runner(bare),
        **{name: runner(agent) for name, agent in agents.items()},
        "GuardCallbackHandler": runner(bare, {"callbacks": [handler]}),
    }


def langchain_tool_node(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """A graph of nothing but its tools, and one call."""

    def runner(tools: Sequence[BaseTool], **wrappers: Any) -> Runner:
        graph: Any = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode(tools, **wrappers))
        graph.add_edge(START, "tools")
        graph.add_edge("tools", END)
        made = graph.compile()
        return lambda text: made.invoke({"messages": [HumanMessage(text), AIMessage("", tool_calls=[CALL])]})

    look_up = _tool(pages)
    return {
        "bare": runner([look_up]),
        "tool_node_wrappers": runner([look_up], **tool_node_wrappers(engine=engine)),
        "guard_tools": runner(guard_tools([look_up], engine=engine)),
    }


def langchain_retriever(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents found."""
    bare, compressor = Found(pages=pages), GuardDocumentCompressor(engine=engine)
    return {
        "bare": bare.invoke,
        "guard_retriever": guard_retriever(bare, engine=engine).invoke,
        "GuardDocumentCompressor": lambda text: compressor.compress_documents(bare.invoke(text), text),
    }


def langchain_vector_store(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents added, four found."""
    bare = Store(pages)

    def runner(store: VectorStore) -> Runner:
        return lambda text: (store.add_documents(_documents(pages)), store.similarity_search(text))

    return {
        "bare": runner(bare),
        "GuardVectorStore": runner(GuardVectorStore(bare, engine=engine)),
        "GuardVectorStore, only what goes in": runner(GuardVectorStore(bare, engine=engine, post_tool=False)),
        "GuardVectorStore, only what is found": runner(GuardVectorStore(bare, engine=engine, ingestion=False)),
    }


def langchain_ingestion(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents split."""
    split, guard = Splitter(), GuardDocumentTransformer(engine=engine)
    return {
        "bare": lambda text: split.transform_documents(_documents(pages)),
        "GuardDocumentTransformer": lambda text: split.transform_documents(
            guard.transform_documents(_documents(pages))
        ),
    }


def langchain_history(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """A question and its answer remembered."""
    model = Model(pages=pages)

    def runner(remembering: Callable[[InMemoryChatMessageHistory], Any]) -> Runner:
        chain: Any = RunnableWithMessageHistory(model, lambda session_id: remembering(InMemoryChatMessageHistory()))
        return lambda text: chain.invoke([HumanMessage(text)], {"configurable": {"session_id": "1"}})

    return {
        "bare": runner(lambda history: history),
        "GuardChatMessageHistory": runner(lambda history: GuardChatMessageHistory(history, engine=engine)),
    }


def langchain_mcp(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One call of a server's tool."""
    adapters: Any = pytest.importorskip("langchain_mcp_adapters.tools", reason="needs langchain-mcp-adapters")
    from mcp.types import CallToolResult, TextContent
    from mcp.types import Tool as ServerTool

    from guardrails_plugin.langchain import GuardMCPInterceptor

    async def call_tool(*args: Any, **kwargs: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=next(pages))])

    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    offered, session = ServerTool(name="look_up", inputSchema=schema), SimpleNamespace(call_tool=call_tool)

    def runner(*interceptors: Any) -> Runner:
        made = adapters.convert_mcp_tool_to_langchain_tool(session, offered, tool_interceptors=list(interceptors))
        return lambda text: awaited(made.ainvoke({"query": text}))

    return {"bare": runner(), "GuardMCPInterceptor": runner(GuardMCPInterceptor(engine=engine))}


@pytest.mark.parametrize("recipes", ["rules", "defaults"])
@pytest.mark.parametrize(
    "application",
    [
        langchain_chain,
        langchain_stream,
        langchain_cache,
        langchain_agent,
        langchain_tool_node,
        langchain_retriever,
        langchain_vector_store,
        langchain_ingestion,
        langchain_history,
        langchain_mcp,
    ],
    ids=lambda application: application.__name__,
)
def bench_langchain(
    application: Application, recipes: str, text: Callable[[str, str], str], say: Callable[[str], None]
) -> None:
    compare(application, recipes, text("clean", "1 MB"), say)
