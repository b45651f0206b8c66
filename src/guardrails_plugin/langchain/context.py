"""What a run's config says about it: ids for the audit record, and the tenant whose keys are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from guardrails_plugin.types import NO_CONTEXT, Context

__all__ = ["run_config", "run_context"]

_IDS = ("user_id", "session_id", "thread_id", "app", "request_id")

_FRAMEWORK = ("seq:", "map:", "branch:", "graph:", "langsmith:", "condition:")
"""How the tags begin that LangChain gives the steps of a chain or graph."""


def run_context(config: RunnableConfig | None = None, base: Context = NO_CONTEXT, *, tenant: str = "") -> Context:
    """``base`` with what is known of a run, for the audit record.

    Of its metadata and configurable values: ``user_id``, ``session_id``, ``thread_id``, ``app`` and ``request_id``;
    its ``tags``, joined by commas; and ``run_id``: the config's own, else that of the run it is a part of. Nothing
    else, since metadata may hold content.

    Args:
        config: of the run; the current one by default.
        base: what else is known.
        tenant: the guard's own; by default the config's ``tenant``.
    """
    own = ensure_config(config)
    known = {**own.get("metadata", {}), **own.get("configurable", {})}
    ids = {key: str(known[key]) for key in _IDS if known.get(key)}
    if tags := _own_tags(own.get("tags") or ()):
        ids["tags"] = ",".join(tags)
    if run := own.get("run_id") or getattr(own.get("callbacks"), "parent_run_id", None):
        ids["run_id"] = str(run)
    return replace(base, metadata={**base.metadata, **ids}, tenant=tenant or str(known.get("tenant") or base.tenant))


def run_config(run_manager: Any) -> RunnableConfig:
    """The config of what happens in a model's or retriever's run."""
    callbacks = CallbackManager(
        handlers=list(run_manager.handlers),
        inheritable_handlers=list(run_manager.inheritable_handlers),
        parent_run_id=run_manager.run_id,
        tags=list(run_manager.tags),
        metadata=dict(run_manager.metadata),
    )
    metadata = {**run_manager.inheritable_metadata, **run_manager.metadata}
    return {"callbacks": callbacks, "metadata": metadata, "tags": list(run_manager.inheritable_tags)}


def _own_tags(tags: Iterable[str]) -> list[str]:
    return sorted({tag for tag in tags if not tag.startswith(_FRAMEWORK)})
