"""A retriever whose documents are guarded before anybody, callbacks included, sees them."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, PrivateAttr

from guardrails_plugin.engine import Engine
from guardrails_plugin.langchain.check import Option, StageCheck, check_at
from guardrails_plugin.langchain.documents import OnBlocked, kept
from guardrails_plugin.langchain.exchange import hidden
from guardrails_plugin.types import Stage

__all__ = ["GuardedRetriever", "guard_retriever"]


class GuardedRetriever(BaseRetriever):
    """A retriever behind a guard; build one with `guard_retriever`. The inner run is hidden from callbacks."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    inner: Any
    on_block: OnBlocked = "drop"

    _check: StageCheck | None = PrivateAttr(default_factory=lambda: None)

    def _of_run(self, run_manager: Any) -> StageCheck | None:
        return self._check.of_run(run_manager) if self._check is not None else None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with hidden():
            found = self.inner.invoke(query, {"callbacks": []}, **kwargs)
        return list(kept(self._of_run(run_manager), found, self.on_block).values())

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with hidden():
            found = await self.inner.ainvoke(query, {"callbacks": []}, **kwargs)
        return list((await asyncio.to_thread(kept, self._of_run(run_manager), found, self.on_block)).values())


def guard_retriever(
    retriever: BaseRetriever,
    *,
    post_tool: Option = True,
    engine: Engine | None = None,
    on_block: OnBlocked = "drop",
) -> GuardedRetriever:
    """The retriever behind a guard: text and metadata of what it finds.

    Args:
        retriever: any retriever.
        post_tool: a guard of one's own; True for the post_tool recipe.
        engine: of the guard that is not given.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """
    made = GuardedRetriever(inner=retriever, on_block=on_block)
    made._check = check_at(post_tool, Stage.POST_TOOL, engine)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return made
