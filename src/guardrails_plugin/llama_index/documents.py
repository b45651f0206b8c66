"""Guarding documents before anything else sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.schema import Document

from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.llama_index.arguments import require_nodes
from guardrails_plugin.llama_index.nodes import guard_nodes
from guardrails_plugin.types import Context, Stage

__all__ = ["guard_documents"]


def guard_documents(
    documents: Sequence[Document],
    *,
    engine: Engine | None = None,
    recipe: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    context: Context | None = None,
) -> list[Document]:
    """Guarded copies of the documents; poisoned ones are left out.

    Use it on what goes into a pipeline with a docstore: LlamaIndex stores the documents it is handed, before any
    transformation has seen them.

    Raises:
        ConfigError: no list of documents; a recipe or rule that there is not.
    """
    documents = list(documents) if isinstance(documents, Iterator) else documents
    require_nodes("documents", documents, "a LlamaIndex document or node")
    guarded = guard_nodes(
        documents, engine or default_engine(), Stage.INGESTION, recipe=recipe, overrides=overrides, context=context
    )
    return [document for document, _ in guarded if document is not None]
