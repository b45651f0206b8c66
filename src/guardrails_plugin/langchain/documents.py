"""Documents on their way into an index (ingestion) or out of a retriever (post_tool): text and metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from pydantic import ConfigDict, PrivateAttr

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.check import Option, StageCheck, check_at
from guardrails_plugin.types import Stage

__all__ = ["GuardDocumentCompressor", "GuardDocumentTransformer", "OnBlocked", "kept"]

OnBlocked = Literal["drop", "raise"]


def kept(check: StageCheck | None, documents: Sequence[Document], on_block: OnBlocked) -> dict[int, Document]:
    """The guarded documents by their places; blocked ones are missing.

    Raises:
        GuardBlocked: one was blocked, and blocks raise.
    """
    if check is None:
        return dict(enumerate(documents))
    found: dict[int, Document] = {}
    for place, checked in enumerate(check.each(documents)):
        if not isinstance(checked, GuardBlocked):
            found[place] = checked.value
        elif on_block == "raise":
            raise checked from None
    return found


class GuardDocumentTransformer(BaseDocumentTransformer):
    """Guards documents before they are split, embedded and stored; poisoned ones are dropped.

    Args:
        ingestion: a guard of one's own; True for the ingestion recipe.
        engine: of the guard that is not given.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """

    def __init__(self, *, ingestion: Option = True, engine: Engine | None = None, on_block: OnBlocked = "drop") -> None:
        self._check = check_at(ingestion, Stage.INGESTION, engine)
        self._on_block: OnBlocked = on_block

    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """The guarded documents, in order."""
        return list(kept(self._check, documents, self._on_block).values())

    async def atransform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """`transform_documents` without blocking the event loop."""
        return await asyncio.to_thread(self.transform_documents, documents)


class GuardDocumentCompressor(BaseDocumentCompressor):
    """Guards what was retrieved, for ContextualCompressionRetriever and document pipelines.

    Args:
        post_tool: a guard of one's own; True for the post_tool recipe.
        engine: of the guard that is not given.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """

    model_config = ConfigDict(extra="forbid")

    on_block: OnBlocked = "drop"

    _check: StageCheck | None = PrivateAttr(default_factory=lambda: None)

    def __init__(self, *, post_tool: Option = True, engine: Engine | None = None, **fields: Any) -> None:
        super().__init__(**fields)
        self._check = check_at(post_tool, Stage.POST_TOOL, engine)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> Sequence[Document]:
        return list(kept(self._check, documents, self.on_block).values())
