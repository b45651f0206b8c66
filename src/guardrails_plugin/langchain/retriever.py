"""A retriever whose documents are guarded before anybody, callbacks included, sees them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    BaseCallbackHandler,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs
from pydantic import ConfigDict, Field, PrivateAttr

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.documents import OnBlocked, checked_choice, kept
from guardrails_plugin.langchain.exchange import hidden
from guardrails_plugin.langchain.failures import GuardedFailures
from guardrails_plugin.langchain.fields import guard_at
from guardrails_plugin.langchain.inner_run import current, inner_config, outer_config, without_handlers
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Stage

__all__ = ["GuardedRetriever", "guard_retriever"]


class GuardedRetriever(BaseRetriever):
    """A retriever behind a guard; build one with `guard_retriever`. The inner run is hidden from callbacks.

    Handlers that the inner one carries (``with_config``) are told this run; what it raises is guarded, too.

    Attributes:
        inner: the retriever.
        post_tool: the guard; the stage's recipe by default, None for none.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    inner: Any
    post_tool: Annotated[Guard | None, guard_at(Stage.POST_TOOL)] = Field(default_factory=partial(Guard, "post_tool"))
    on_block: OnBlocked = "drop"

    _moved: list[BaseCallbackHandler] = PrivateAttr(default_factory=list)

    def __init__(self, **fields: Any) -> None:
        with constructing(type(self)):
            super().__init__(**fields)
        self.inner, self._moved = without_handlers(self.inner)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        own = self._config(config)
        with current(outer_config(own)):
            return super().invoke(input, own, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        own = self._config(config)
        with current(outer_config(own)):
            return await super().ainvoke(input, own, **kwargs)

    def _config(self, config: RunnableConfig | None) -> RunnableConfig | None:
        """The config with the handlers that the inner retriever carries: a retriever has no callbacks of its own."""
        return merge_configs(ensure_config(config), {"callbacks": self._moved}) if self._moved else config

    def _of_run(self, run_manager: Any) -> StageCheck | None:
        return StageCheck(self.post_tool).of_run(run_manager) if self.post_tool is not None else None

    def _failures(self, run_manager: Any) -> GuardedFailures:
        return GuardedFailures(self.post_tool, run_manager, "retriever")

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with self._failures(run_manager), hidden():
            found = self.inner.invoke(query, inner_config(), **kwargs)
        return list(kept(self._of_run(run_manager), found, self.on_block).values())

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        async with self._failures(run_manager):
            with hidden():
                found = await self.inner.ainvoke(query, inner_config(), **kwargs)
        return list((await asyncio.to_thread(kept, self._of_run(run_manager), found, self.on_block)).values())


def guard_retriever(
    retriever: BaseRetriever,
    *,
    post_tool: Option = True,
    engine: Engine | None = None,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    on_block: OnBlocked = "drop",
) -> GuardedRetriever:
    """The retriever behind a guard: text and metadata of what it finds.

    Args:
        retriever: any retriever.
        post_tool: a guard of one's own; True for the post_tool recipe.
        engine: of the guard that is not given.
        recipes: names of recipes, by stage (``post_tool``).
        overrides: changes to them, by stage, then by rule name.
        on_block: ``drop`` blocked documents, or ``raise`` GuardBlocked.

    Raises:
        ConfigError: no retriever, a guard of another stage, or no such choice.
    """
    if not isinstance(retriever, Runnable):
        what = type(retriever).__name__
        raise ConfigError(
            f"guard_retriever: expected a retriever, got {what}; a vector store makes one: store.as_retriever()"
        )
    checked_choice(on_block, "guard_retriever")
    check = StagePolicies(engine, recipes, overrides).at(post_tool, Stage.POST_TOOL)
    return GuardedRetriever(inner=retriever, post_tool=check.guard if check is not None else None, on_block=on_block)
