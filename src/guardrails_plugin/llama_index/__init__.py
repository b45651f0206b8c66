"""Guards for LlamaIndex. Needs ``pip install guardrails-plugin[llama-index]``."""

try:
    from guardrails_plugin.llama_index.agent import guard_agent as guard_agent
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "llama_index":
        raise
    raise ModuleNotFoundError(
        'guardrails_plugin.llama_index needs llama_index: pip install "guardrails-plugin[llama-index]"', name=error.name
    ) from None
from guardrails_plugin.llama_index.callbacks import GuardAuditEventHandler as GuardAuditEventHandler
from guardrails_plugin.llama_index.chat_engine import guard_chat_engine as guard_chat_engine
from guardrails_plugin.llama_index.documents import guard_documents as guard_documents
from guardrails_plugin.llama_index.llm import guard_llm as guard_llm
from guardrails_plugin.llama_index.mcp import guard_mcp_client as guard_mcp_client
from guardrails_plugin.llama_index.memory import guard_memory as guard_memory
from guardrails_plugin.llama_index.postprocessor import GuardNodePostprocessor as GuardNodePostprocessor
from guardrails_plugin.llama_index.query_engine import guard_query_engine as guard_query_engine
from guardrails_plugin.llama_index.query_engine import guard_retriever as guard_retriever
from guardrails_plugin.llama_index.synthesizer import guard_synthesizer as guard_synthesizer
from guardrails_plugin.llama_index.tools import guard_tools as guard_tools
from guardrails_plugin.llama_index.transform import GuardTransform as GuardTransform
from guardrails_plugin.llama_index.vault import Vault as Vault

__all__ = [
    "GuardAuditEventHandler",
    "GuardNodePostprocessor",
    "GuardTransform",
    "Vault",
    "guard_agent",
    "guard_chat_engine",
    "guard_documents",
    "guard_llm",
    "guard_mcp_client",
    "guard_memory",
    "guard_query_engine",
    "guard_retriever",
    "guard_synthesizer",
    "guard_tools",
]
