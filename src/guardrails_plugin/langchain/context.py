"""What a run's config says about it: ids for the audit record, and the tenant whose keys are used."""

from __future__ import annotations

from dataclasses import replace

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from guardrails_plugin.types import NO_CONTEXT, Context

__all__ = ["run_context"]

_IDS = ("user_id", "session_id", "thread_id", "app", "request_id")


def run_context(config: RunnableConfig | None = None, base: Context = NO_CONTEXT, *, tenant: str = "") -> Context:
    """``base`` with what is known of a run from its metadata and its configurable values.

    Args:
        config: of the run; the current one by default.
        base: what else is known.
        tenant: the guard's own; by default the config's ``tenant``.
    """
    own = ensure_config(config)
    known = {**own.get("metadata", {}), **own.get("configurable", {})}
    ids = {key: str(known[key]) for key in _IDS if known.get(key)}
    return replace(base, metadata={**base.metadata, **ids}, tenant=tenant or str(known.get("tenant") or base.tenant))
