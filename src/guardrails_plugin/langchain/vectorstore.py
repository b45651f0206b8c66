"""A vector store that takes in guarded documents only, and guards what it gives out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.documents import OnBlocked, checked_choice, kept
from guardrails_plugin.types import Stage

__all__ = ["GuardVectorStore"]


class GuardVectorStore(VectorStore):
    """A vector store behind guards, by every way in and out that LangChain knows.

    Args:
        inner: the store.
        ingestion: guard for what goes in; True for the stage's recipe, False for none.
        post_tool: guard for what comes out; likewise.
        engine: of the guards that are not given.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        on_block: ``drop`` blocked documents (their ids with them), or ``raise`` GuardBlocked.

    Raises:
        ConfigError: no vector store, a guard of another stage, or no such choice.
    """

    def __init__(
        self,
        inner: VectorStore,
        *,
        ingestion: Option = True,
        post_tool: Option = True,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        on_block: OnBlocked = "drop",
    ) -> None:
        if not isinstance(inner, VectorStore):
            given = type(inner).__name__
            raise ConfigError(
                f"GuardVectorStore: expected a vector store, got {given}; retrievers: guard_retriever(...)"
            )
        self.inner = inner
        policies = StagePolicies(engine, recipes, overrides)
        self._in = policies.at(ingestion, Stage.INGESTION)
        self._out = policies.at(post_tool, Stage.POST_TOOL)
        self._on_block: OnBlocked = checked_choice(on_block, type(self).__name__)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        store: type[VectorStore] | None = None,
        **kwargs: Any,
    ) -> GuardVectorStore:
        """A store of class ``store`` made of guarded texts, behind guards.

        Args:
            texts: the texts.
            embedding: for ``store``.
            metadatas: one per text.
            ids: one per text.
            store: class of the store.
            kwargs: ``ingestion``, ``post_tool``, ``engine``, ``recipes``, ``overrides`` and ``on_block`` are ours, the
                rest is for ``store``.
        """
        if store is None:
            raise TypeError("from_texts needs the class of the store to guard: store=InMemoryVectorStore")
        on_block = checked_choice(kwargs.get("on_block", "drop"), cls.__name__)
        options = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
        policies = StagePolicies(*(options.get(name) for name in ("engine", "recipes", "overrides")))
        check = policies.at(options.get("ingestion", True), Stage.INGESTION)
        documents, own = _admitted(check, _documents(texts, metadatas), ids, on_block)
        inner = store.from_texts(
            [document.page_content for document in documents],
            embedding,
            [document.metadata for document in documents] if metadatas is not None else None,
            **({} if own is None else {"ids": own}),
            **kwargs,
        )
        return cls(inner, **options)

    @classmethod
    async def afrom_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[Any, Any]] | None = None, **kwargs: Any
    ) -> GuardVectorStore:
        """`from_texts` without blocking the event loop."""
        return await asyncio.to_thread(cls.from_texts, texts, embedding, metadatas, **kwargs)

    @property
    def embeddings(self) -> Embeddings | None:
        return self.inner.embeddings

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add the texts that are not refused; returns their ids."""
        return self.add_documents(_documents(texts, metadatas), **({} if ids is None else {"ids": ids}), **kwargs)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        documents = _documents(texts, metadatas)
        return await self.aadd_documents(documents, **({} if ids is None else {"ids": ids}), **kwargs)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add the documents that are not refused; returns their ids."""
        admitted, ids = _admitted(self._in, documents, kwargs.pop("ids", None), self._on_block)
        return self.inner.add_documents(admitted, **({} if ids is None else {"ids": ids}), **kwargs) if admitted else []

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        admitted, ids = await asyncio.to_thread(_admitted, self._in, documents, kwargs.pop("ids", None), self._on_block)
        own = {} if ids is None else {"ids": ids}
        return await self.inner.aadd_documents(admitted, **own, **kwargs) if admitted else []

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return self._released(self.inner.similarity_search(query, k=k, **kwargs))

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        found = await self.inner.asimilarity_search(query, k=k, **kwargs)
        return await asyncio.to_thread(self._released, found)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[tuple[Document, float]]:
        return self._scored(self.inner.similarity_search_with_score(*args, **kwargs))

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[tuple[Document, float]]:
        found = await self.inner.asimilarity_search_with_score(*args, **kwargs)
        return await asyncio.to_thread(self._scored, found)

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return self._scored(self.inner.similarity_search_with_relevance_scores(query, k=k, **kwargs))

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = await self.inner.asimilarity_search_with_relevance_scores(query, k=k, **kwargs)
        return await asyncio.to_thread(self._scored, found)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return self._released(self.inner.similarity_search_by_vector(embedding, k=k, **kwargs))

    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        found = await self.inner.asimilarity_search_by_vector(embedding, k=k, **kwargs)
        return await asyncio.to_thread(self._released, found)

    def max_marginal_relevance_search(self, query: str, *args: Any, **kwargs: Any) -> list[Document]:
        return self._released(self.inner.max_marginal_relevance_search(query, *args, **kwargs))

    async def amax_marginal_relevance_search(self, query: str, *args: Any, **kwargs: Any) -> list[Document]:
        found = await self.inner.amax_marginal_relevance_search(query, *args, **kwargs)
        return await asyncio.to_thread(self._released, found)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], *args: Any, **kwargs: Any
    ) -> list[Document]:
        return self._released(self.inner.max_marginal_relevance_search_by_vector(embedding, *args, **kwargs))

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], *args: Any, **kwargs: Any
    ) -> list[Document]:
        found = await self.inner.amax_marginal_relevance_search_by_vector(embedding, *args, **kwargs)
        return await asyncio.to_thread(self._released, found)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return self._released(self.inner.get_by_ids(ids))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return await asyncio.to_thread(self._released, await self.inner.aget_by_ids(ids))

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        return self.inner.delete(ids, **kwargs)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        return await self.inner.adelete(ids, **kwargs)

    def _released(self, documents: Sequence[Document]) -> list[Document]:
        return list(kept(self._out, documents, self._on_block).values())

    def _scored(self, pairs: Sequence[tuple[Document, float]]) -> list[tuple[Document, float]]:
        found = kept(self._out, [document for document, _ in pairs], self._on_block)
        return [(document, pairs[place][1]) for place, document in found.items()]


_OPTIONS = ("ingestion", "post_tool", "engine", "recipes", "overrides", "on_block")


def _admitted(
    check: StageCheck | None, documents: Sequence[Document], ids: Sequence[str] | None, on_block: OnBlocked
) -> tuple[list[Document], list[str] | None]:
    """The guarded documents and, when there are any, the ids of those that were not dropped."""
    if ids is not None and len(ids) != len(documents):
        raise ValueError(f"ids: expected one per document ({len(documents)}), got {len(ids)}")
    found = kept(check, documents, on_block)
    return list(found.values()), None if ids is None else [ids[place] for place in found]


def _documents(texts: Iterable[str], metadatas: Sequence[dict[Any, Any]] | None) -> list[Document]:
    own = list(texts)
    metadata: Sequence[dict[Any, Any]] = metadatas if metadatas is not None else [{} for _ in own]
    if len(metadata) != len(own):
        raise ValueError(f"metadatas: expected one per text ({len(own)}), got {len(metadata)}")
    return [Document(page_content=text, metadata=facts) for text, facts in zip(own, metadata, strict=True)]
