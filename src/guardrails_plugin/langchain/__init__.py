"""Guards for LangChain. Needs ``pip install guardrails-plugin[langchain]``; imports langchain_core and nothing heavier."""

from guardrails_plugin.langchain.runnable import Guard as Guard

__all__ = ["Guard"]
