"""Guards for LangChain: ``pip install guardrails-plugin[langchain]``. Imports langchain_core and nothing heavier."""

from guardrails_plugin.langchain.runnable import Guard as Guard

__all__ = ["Guard"]
