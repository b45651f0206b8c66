"""Guards for LangChain: ``pip install guardrails-plugin[langchain]``.

Only `Guard` is imported at once; everything else at first use, since agents, LangGraph and MCP are slow to import and
need not be installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from guardrails_plugin.langchain.runnable import Guard as Guard
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "langchain_core":
        raise
    raise ModuleNotFoundError(
        'guardrails_plugin.langchain needs langchain_core: pip install "guardrails-plugin[langchain]"', name=error.name
    ) from None

if TYPE_CHECKING:
    from guardrails_plugin.langchain.callbacks import GuardCallbackHandler as GuardCallbackHandler
    from guardrails_plugin.langchain.chat_model import GuardedChatModel as GuardedChatModel
    from guardrails_plugin.langchain.chat_model import guard_model as guard_model
    from guardrails_plugin.langchain.documents import GuardDocumentCompressor as GuardDocumentCompressor
    from guardrails_plugin.langchain.documents import GuardDocumentTransformer as GuardDocumentTransformer
    from guardrails_plugin.langchain.history import GuardChatMessageHistory as GuardChatMessageHistory
    from guardrails_plugin.langchain.mcp import GuardMCPInterceptor as GuardMCPInterceptor
    from guardrails_plugin.langchain.middleware import GuardMiddleware as GuardMiddleware
    from guardrails_plugin.langchain.retriever import guard_retriever as guard_retriever
    from guardrails_plugin.langchain.tool_node import tool_node_wrappers as tool_node_wrappers
    from guardrails_plugin.langchain.tools import guard_tools as guard_tools
    from guardrails_plugin.langchain.vectorstore import GuardVectorStore as GuardVectorStore

__all__ = [
    "Guard",
    "GuardCallbackHandler",
    "GuardChatMessageHistory",
    "GuardDocumentCompressor",
    "GuardDocumentTransformer",
    "GuardMCPInterceptor",
    "GuardMiddleware",
    "GuardVectorStore",
    "GuardedChatModel",
    "guard_model",
    "guard_retriever",
    "guard_tools",
    "tool_node_wrappers",
]

_HOMES = {
    "GuardCallbackHandler": "callbacks",
    "GuardChatMessageHistory": "history",
    "GuardDocumentCompressor": "documents",
    "GuardDocumentTransformer": "documents",
    "GuardMCPInterceptor": "mcp",
    "GuardMiddleware": "middleware",
    "GuardVectorStore": "vectorstore",
    "GuardedChatModel": "chat_model",
    "guard_model": "chat_model",
    "guard_retriever": "retriever",
    "guard_tools": "tools",
    "tool_node_wrappers": "tool_node",
}

_EXTRAS = {
    "langchain": "langchain-agents",
    "langgraph": "langchain-agents",
    "langchain_mcp_adapters": "mcp",
    "mcp": "mcp",
}
"""Packages that not everything here needs, and what installs them."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f'{name} needs {package}: pip install "guardrails-plugin[{_EXTRAS[package]}]"', name=package
        ) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
