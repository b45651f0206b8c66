"""What each hook for LlamaIndex adds to an application whose model and tools take no time; see `hooks`.

.venv-bench/bin/python -m pytest -c tests/benchmarks/pytest.ini tests/benchmarks/bench_hooks_llama_index.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hooks import FOUND, Application, Pages, Runner, awaited, compare, tokens
from llama_index.core import Document
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer, CompactAndRefine
from llama_index.core.response_synthesizers.no_text import NoText
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from guardrails_plugin import Engine
from guardrails_plugin.llama_index import (
    GuardAuditEventHandler,
    GuardNodePostprocessor,
    GuardTransform,
    guard_agent,
    guard_chat_engine,
    guard_documents,
    guard_llm,
    guard_mcp_client,
    guard_memory,
    guard_query_engine,
    guard_retriever,
    guard_synthesizer,
    guard_tools,
)

CALL = ToolCallBlock(tool_call_id="1", tool_name="look_up", tool_kwargs={"query": "the narrow bridge"})


class Model(FunctionCallingLLM):
    """Answers with the next page, as a stream too; calls a tool first, when it is handed one."""

    pages: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        asked = kwargs.get("tools") and messages[-1].role is MessageRole.USER
        block = CALL if asked else TextBlock(text=next(self.pages))
        return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, blocks=[block]))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        def chunks() -> Iterator[ChatResponse]:
            said = ""
            for token in tokens(next(self.pages)):
                said += token
                yield ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=said), delta=token)

        return chunks()

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        async def chunks() -> Any:
            for chunk in self.stream_chat(messages, **kwargs):
                yield chunk

        return chunks()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=next(self.pages))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self.complete(prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _prepare_chat_with_tools(self, tools: Sequence[Any], **kwargs: Any) -> dict[str, Any]:
        history = [*(kwargs.get("chat_history") or [])]
        return {"messages": history, "tools": list(tools)}

    def get_tool_calls_from_response(self, response: ChatResponse, *args: Any, **kwargs: Any) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [ToolSelection(tool_id="1", tool_name=c.tool_name, tool_kwargs=dict(c.tool_kwargs)) for c in calls]


class Found(BaseRetriever):
    """Four nodes, whatever is asked."""

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self._pages)


def _nodes(pages: Pages) -> list[NodeWithScore]:
    facts = {"file_name": "report.txt"}
    return [NodeWithScore(node=TextNode(text=next(pages), metadata=dict(facts)), score=1.0) for _ in range(FOUND)]


def _tool(pages: Pages) -> FunctionTool:
    def look_up(query: str) -> str:
        """Looks a thing up."""
        return next(pages)

    return FunctionTool.from_defaults(look_up)


def llama_index_llm(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """A model asked."""
    bare: Any = Model(pages=pages)
    guarded: Any = guard_llm(bare, engine=engine)
    dispatcher, handler = get_dispatcher(), GuardAuditEventHandler(engine=engine)

    def asked(text: str) -> list[ChatMessage]:
        return [ChatMessage(role=MessageRole.USER, content=text)]

    def observed(text: str) -> Any:
        dispatcher.add_event_handler(handler)
        try:
            return bare.chat(asked(text))
        finally:
            dispatcher.event_handlers.remove(handler)

    return {
        "bare": lambda text: bare.chat(asked(text)),
        "guard_llm": lambda text: guarded.chat(asked(text)),
        "GuardAuditEventHandler": observed,
    }


def llama_index_stream(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """An answer in two hundred chunks."""
    bare = Model(pages=pages)
    guarded = guard_llm(bare, engine=engine)

    def asked(text: str) -> list[ChatMessage]:
        return [ChatMessage(role=MessageRole.USER, content=text)]

    return {
        "bare": lambda text: deque(bare.stream_chat(asked(text)), maxlen=1),
        "guard_llm": lambda text: deque(guarded.stream_chat(asked(text)), maxlen=1),
    }


def llama_index_tools(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One call of a tool."""
    bare = _tool(pages)
    (guarded,) = guard_tools([bare], engine=engine)
    return {
        "bare": lambda text: bare.call(query=text),
        "guard_tools": lambda text: guarded.call(query=text),
    }


def llama_index_agent(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One question, one tool call, one answer."""
    model, look_up = Model(pages=pages), _tool(pages)
    bare = FunctionAgent(tools=[look_up], llm=model, streaming=False)
    tools: Any = guard_tools([look_up], engine=engine)

    def runner(agent: Any) -> Runner:
        async def run(text: str) -> Any:
            return await agent.run(text)

        return lambda text: awaited(run(text))

    return {
        "bare": runner(bare),
        "guard_agent": runner(guard_agent(bare, engine=engine)),
        "guard_tools": runner(FunctionAgent(tools=tools, llm=model, streaming=False)),
    }


def llama_index_ingestion(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents split."""
    splitter = SentenceSplitter(chunk_size=256)

    def runner(*steps: Any, before: Callable[[Any], Any] = list) -> Runner:
        pipeline = IngestionPipeline(transformations=[*steps, splitter], disable_cache=True)
        return lambda text: pipeline.run(documents=before([Document(text=next(pages)) for _ in range(FOUND)]))

    return {
        "bare": runner(),
        "GuardTransform": runner(GuardTransform(engine=engine)),
        "guard_documents": runner(before=lambda documents: guard_documents(documents, engine=engine)),
    }


def llama_index_query(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four nodes retrieved, not yet answered from."""
    found = Found(pages)

    def made(retriever: BaseRetriever, *steps: Any) -> RetrieverQueryEngine:
        return RetrieverQueryEngine(retriever, NoText(llm=Model(pages=pages)), node_postprocessors=list(steps))

    return {
        "bare": made(found).query,
        "GuardNodePostprocessor": made(found, GuardNodePostprocessor(engine=engine)).query,
        "guard_retriever": made(guard_retriever(found, engine=engine)).query,
        "guard_query_engine": guard_query_engine(made(found), engine=engine).query,
    }


def llama_index_synthesizer(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """An answer made of four nodes, and one made of four texts."""
    model = Model(pages=pages)

    def runner(synthesizer: BaseSynthesizer) -> Runner:
        return lambda text: (
            synthesizer.synthesize(text, _nodes(pages)),
            synthesizer.get_response(text, [next(pages) for _ in range(FOUND)]),
        )

    bare = CompactAndRefine(llm=model)
    return {
        "bare": runner(bare),
        "guard_synthesizer": runner(guard_synthesizer(bare, engine=engine)),
        "guard_llm": runner(CompactAndRefine(llm=guard_llm(model, engine=engine))),
    }


def llama_index_chat_engine(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """A message and its answer, remembered."""
    model = Model(pages=pages)

    def memory() -> ChatMemoryBuffer:
        return ChatMemoryBuffer.from_defaults(token_limit=4_000, tokenizer_fn=str.split)

    def made(own: BaseMemory) -> SimpleChatEngine:
        return SimpleChatEngine(llm=model, memory=own, prefix_messages=[])

    def runner(chat_engine: Any) -> Runner:
        return lambda text: (chat_engine.reset(), chat_engine.chat(text))

    return {
        "bare": runner(made(memory())),
        "guard_memory": runner(made(guard_memory(memory(), engine=engine))),
        "guard_chat_engine": runner(guard_chat_engine(made(memory()), engine=engine)),
    }


class Said(BaseModel):
    """A text in the shape of an MCP server's."""

    type: str = "text"
    text: str


class Result(BaseModel):
    """A tool's result in the shape of an MCP server's."""

    content: list[Said]


def llama_index_mcp(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One call of a server's tool."""

    async def call_tool(name: str, arguments: dict[str, Any]) -> Result:
        return Result(content=[Said(text=next(pages))])

    client: Any = SimpleNamespace(call_tool=call_tool)

    def runner(own: Any) -> Runner:
        return lambda text: awaited(own.call_tool("look_up", {"query": text}))

    return {"bare": runner(client), "guard_mcp_client": runner(guard_mcp_client(client, engine=engine))}


@pytest.mark.parametrize("recipes", ["rules", "defaults"])
@pytest.mark.parametrize(
    "application",
    [
        llama_index_llm,
        llama_index_stream,
        llama_index_tools,
        llama_index_agent,
        llama_index_ingestion,
        llama_index_query,
        llama_index_synthesizer,
        llama_index_chat_engine,
        llama_index_mcp,
    ],
    ids=lambda application: application.__name__,
)
def bench_llama_index(
    application: Application, recipes: str, text: Callable[[str, str], str], say: Callable[[str], None]
) -> None:
    compare(application, recipes, text("clean", "1 MB"), say)
