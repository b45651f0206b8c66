"""`GuardTransform`: the first step of an `IngestionPipeline`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode, TransformComponent
from pydantic import ConfigDict, PrivateAttr

from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.llama_index.arguments import require_nodes
from guardrails_plugin.llama_index.nodes import guard_nodes
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Context, GuardResult, Stage

__all__ = ["GuardTransform"]


class GuardTransform(TransformComponent):
    """Drops poisoned nodes and cleans the others, text and metadata.

    Put it first: what stands before it, and the pipeline's cache of that, sees raw text. Its own cache entries are
    tied to the policy by `policy_fingerprint`, so that a changed recipe never serves old output.

    Args:
        recipe: name of a recipe; the ingestion stage's own by default.
        overrides: changes to the recipe, by rule name.
        tenant: whose keys the ``encrypt`` action uses.
        engine: the engine; one shared by the process by default. An engine with a keyring does not travel to worker
            processes (``num_workers``).
    """

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    overrides: dict[str, dict[str, Any]] | None = None
    tenant: str = ""
    policy_fingerprint: str = ""

    _engine: Engine = PrivateAttr(default_factory=default_engine)
    _dropped: list[GuardResult] = PrivateAttr(default_factory=list)

    def __init__(self, *, engine: Engine | None = None, **fields: Any) -> None:
        with constructing(type(self)):
            super().__init__(**fields)
        if engine is not None:
            self._engine = engine
        self.policy_fingerprint = self._engine.fingerprint(
            stage=Stage.INGESTION, recipe=self.recipe, overrides=self.overrides
        )

    @classmethod
    def class_name(cls) -> str:
        return "GuardTransform"

    @property
    def dropped(self) -> tuple[GuardResult, ...]:
        """Results of the nodes that the last run dropped."""
        return tuple(self._dropped)

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Guarded copies of the nodes that may stay.

        Raises:
            ConfigError: no list of nodes.
        """
        require_nodes("nodes", nodes, "a LlamaIndex node (of a NodeWithScore: its .node)")
        guarded = guard_nodes(
            nodes,
            self._engine,
            Stage.INGESTION,
            recipe=self.recipe,
            overrides=self.overrides,
            context=Context(tenant=self.tenant),
        )
        self._dropped = [result for _, result in guarded if result.blocked]
        return [node for node, _ in guarded if node is not None]

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """`__call__` on a worker thread."""
        return await asyncio.to_thread(self, nodes, **kwargs)
