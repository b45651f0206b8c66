"""`GuardNodePostprocessor`: retrieved nodes, before a model reads them."""

from __future__ import annotations

from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from pydantic import ConfigDict, PrivateAttr

from guardrails_plugin.engine import Engine, default_engine
from guardrails_plugin.llama_index.arguments import require_nodes
from guardrails_plugin.llama_index.nodes import guard_nodes
from guardrails_plugin.recipes.construction import constructing
from guardrails_plugin.types import Context, Stage

__all__ = ["GuardNodePostprocessor"]


class GuardNodePostprocessor(BaseNodePostprocessor):
    """Drops retrieved nodes that carry instructions to the model and cleans the others; for indexes filled earlier.

    Args:
        recipe: name of a recipe; the post_tool stage's own by default.
        overrides: changes to the recipe, by rule name.
        tenant: whose keys the ``encrypt`` action uses.
        engine: the engine; one shared by the process by default.
    """

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    overrides: dict[str, dict[str, Any]] | None = None
    tenant: str = ""

    _engine: Engine = PrivateAttr(default_factory=default_engine)

    def __init__(self, *, engine: Engine | None = None, **fields: Any) -> None:
        with constructing(type(self)):
            super().__init__(**fields)
        if engine is not None:
            self._engine = engine
        if self.recipe is not None or self.overrides:
            self._engine.fingerprint(stage=Stage.POST_TOOL, recipe=self.recipe, overrides=self.overrides)

    @classmethod
    def class_name(cls) -> str:
        return "GuardNodePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        require_nodes("nodes", nodes, "a NodeWithScore", NodeWithScore)
        context = Context(prompt=query_bundle.query_str if query_bundle else "", tenant=self.tenant)
        guarded = guard_nodes(
            [scored.node for scored in nodes],
            self._engine,
            Stage.POST_TOOL,
            recipe=self.recipe,
            overrides=self.overrides,
            context=context,
            mark=False,
        )
        return [
            NodeWithScore(node=node, score=scored.score)
            for scored, (node, _) in zip(nodes, guarded, strict=True)
            if node is not None
        ]
