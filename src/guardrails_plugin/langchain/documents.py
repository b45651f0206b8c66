"""Documents on their way into an index (ingestion) or out of a retriever (post_tool): text and metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, get_args

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from pydantic import ConfigDict, Field

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import GuardBlocked, unknown_name
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.fields import guard_at
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Stage

__all__ = ["GuardDocumentCompressor", "GuardDocumentTransformer", "OnBlocked", "checked_choice", "kept"]

OnBlocked = Literal["drop", "raise"]


def checked_choice(on_block: OnBlocked, where: str) -> OnBlocked:
    """What was chosen to happen to blocked documents.

    Raises:
        ConfigError: there is no such choice.
    """
    if on_block not in get_args(OnBlocked):
        raise unknown_name("on_block", on_block, get_args(OnBlocked), where)
    return on_block


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
        recipes: names of recipes, by stage (``ingestion``).
        overrides: changes to them, by stage, then by rule name.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """

    def __init__(
        self,
        *,
        ingestion: Option = True,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        on_block: OnBlocked = "drop",
    ) -> None:
        self._check = StagePolicies(engine, recipes, overrides).at(ingestion, Stage.INGESTION)
        self._on_block: OnBlocked = checked_choice(on_block, type(self).__name__)

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
        recipes: names of recipes, by stage (``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """

    model_config = ConfigDict(extra="forbid")

    post_tool: Annotated[Guard | None, guard_at(Stage.POST_TOOL)] = Field(default_factory=partial(Guard, "post_tool"))
    on_block: OnBlocked = "drop"

    def __init__(
        self,
        *,
        post_tool: Option | None = True,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        **fields: Any,
    ) -> None:
        own: Any = post_tool
        if post_tool is True or isinstance(post_tool, Guard):
            check = StagePolicies(engine, recipes, overrides).at(post_tool, Stage.POST_TOOL)
            own = check.guard if check is not None else None
        with constructing(type(self)):
            super().__init__(**{"post_tool": own, **fields})

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> Sequence[Document]:
        check = StageCheck(self.post_tool) if self.post_tool is not None else None
        return list(kept(check, documents, self.on_block).values())
