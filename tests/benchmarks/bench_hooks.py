"""What each hook adds to an application whose model and tools take no time: ratios to the same application unguarded.

All that is compared runs in turns in one process, on texts of one size that nobody has read before (the classifier
remembers what it has read); the best of all rounds counts. Once by rules only, once with the default recipes as they
are. Real models take a second, so that the added milliseconds say more than the ratios.

    .venv-bench/bin/python -m pytest -c tests/benchmarks/pytest.ini tests/benchmarks/bench_hooks.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import pytest
from conftest import rules_only
from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool

from guardrails_plugin import Engine
from guardrails_plugin.langchain import (
    Guard,
    GuardCallbackHandler,
    GuardMiddleware,
    guard_model,
    guard_retriever,
    guard_tools,
)

PAGE = 1_000
"""Characters of a question, an answer, a tool's result, a document."""
FOUND = 4
"""Documents that are retrieved or read at once."""
ROUNDS = {"rules": 40, "defaults": 12}

Pages = Iterator[str]
Runner = Callable[[str], Any]


class Model(BaseChatModel):
    """Answers with the next page; calls its tool first, where it has one."""

    pages: Any
    tool: str = ""

    @property
    def _llm_type(self) -> str:
        return "pages"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.model_copy(update={"tool": tools[0].name})

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        call = {"name": self.tool, "args": {"query": "the narrow bridge"}, "id": "1"}
        asked = self.tool and isinstance(messages[-1], HumanMessage)
        reply = AIMessage("", tool_calls=[call]) if asked else AIMessage(next(self.pages))
        return ChatResult(generations=[ChatGeneration(message=reply)])


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


def langchain_agent(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """One question, one tool call, one answer."""

    @tool
    def look_up(query: str) -> str:
        """Looks a thing up."""
        return next(pages)

    regular: list[Any] = [
        PIIMiddleware(kind, strategy="redact", apply_to_output=True, apply_to_tool_results=True)
        for kind in ("email", "credit_card", "ip")
    ]
    model = Model(pages=pages)
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


def langchain_retriever(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents found."""

    class Found(BaseRetriever):
        def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
            return [Document(next(pages)) for _ in range(FOUND)]

    bare = Found()
    return {"bare": bare.invoke, "guard_retriever": guard_retriever(bare, engine=engine).invoke}


def llama_index_ingestion(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four documents split."""
    from llama_index.core import Document as LlamaDocument
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter

    from guardrails_plugin.llama_index import GuardTransform

    def runner(*steps: Any) -> Runner:
        pipeline = IngestionPipeline(transformations=[*steps, SentenceSplitter(chunk_size=256)], disable_cache=True)
        return lambda text: pipeline.run(documents=[LlamaDocument(text=next(pages)) for _ in range(FOUND)])

    return {"bare": runner(), "GuardTransform": runner(GuardTransform(engine=engine))}


def llama_index_query(engine: Engine, pages: Pages) -> dict[str, Runner]:
    """Four nodes retrieved, not yet answered from."""
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers.no_text import NoText
    from llama_index.core.retrievers import BaseRetriever as LlamaRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    from guardrails_plugin.llama_index import GuardNodePostprocessor

    class Found(LlamaRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return [NodeWithScore(node=TextNode(text=next(pages)), score=1.0) for _ in range(FOUND)]

    def runner(*steps: Any) -> Runner:
        return RetrieverQueryEngine(Found(), NoText(llm=MockLLM()), node_postprocessors=list(steps)).query

    return {"bare": runner(), "GuardNodePostprocessor": runner(GuardNodePostprocessor(engine=engine))}


def _pages(text: str) -> Pages:
    """Texts of one size, none like another: every lap begins at another place."""
    for lap in range(PAGE):
        for at in range(lap * 37 % PAGE, len(text) - PAGE, PAGE):
            yield text[at : at + PAGE]


@pytest.mark.parametrize("recipes", ["rules", "defaults"])
@pytest.mark.parametrize(
    "application",
    [langchain_chain, langchain_agent, langchain_retriever, llama_index_ingestion, llama_index_query],
    ids=lambda application: application.__name__,
)
def bench_hook(
    application: Callable[[Engine, Pages], dict[str, Runner]],
    recipes: str,
    text: Callable[[str, str], str],
    say: Callable[[str], None],
) -> None:
    pages = _pages(text("clean", "1 MB"))
    runners = application(rules_only() if recipes == "rules" else Engine(), pages)
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():  # models are loaded, graphs and caches made
        assert run(next(pages))
    for turn in range(ROUNDS[recipes]):
        names = list(runners)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            question = next(pages)
            began = perf_counter()
            runners[name](question)
            seconds[name].append(perf_counter() - began)
    bare = min(seconds.pop("bare"))
    say(f"{application.__name__}, {recipes}: unguarded {bare * 1000:.2f} ms")
    for name, own in seconds.items():
        guarded = min(own)
        say(f"  {name:<30}{guarded * 1000:>9.2f} ms{guarded / bare:>8.1f}x{(guarded - bare) * 1000:>+10.2f} ms")
