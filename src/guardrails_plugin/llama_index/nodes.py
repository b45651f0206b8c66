"""Guarding nodes: text and all metadata of each are one content; blocked nodes are dropped, input is never changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from llama_index.core.schema import BaseNode, MetadataMode, RelatedNodeInfo

from guardrails_plugin.conversation import Foreign, Walk, segments, substitute
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ContentError
from guardrails_plugin.llama_index.tags import tagged
from guardrails_plugin.objects import walk_object
from guardrails_plugin.types import NO_CONTEXT, Context, GuardResult, Origin, Segment, Stage, Verdict

__all__ = ["MARK", "duplicate", "guard_nodes", "related", "walk_node"]

MARK = "guard"
"""Metadata key with the verdict, the worst where several guards have seen a node; kept out of what is embedded and what
a model sees."""

MARKS = "guard_verdicts"
"""Likewise, with the verdicts of several guards, the first one first."""

_Node = TypeVar("_Node", bound=BaseNode)


def guard_nodes(
    nodes: Sequence[_Node],
    engine: Engine,
    stage: Stage,
    *,
    recipe: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    context: Context | None = None,
    mark: bool = True,
) -> list[tuple[_Node | None, GuardResult]]:
    """Every node's guarded copy (None when it was blocked) and its result, in order; one pass for all."""
    contents = [[Segment(_text(node), Origin.EXTERNAL), *_metadata(node)] for node in nodes]
    results = engine.check_batch(
        contents, stage=stage, recipe=recipe, overrides=overrides, context=tagged(context or NO_CONTEXT)
    )
    return [
        (None if result.blocked else _copy(node, result, mark=mark), result)
        for node, result in zip(nodes, results, strict=True)
    ]


def _text(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.NONE)


def _metadata(node: BaseNode) -> list[Segment]:
    return segments(_facts(node), Origin.EXTERNAL, _foreign(node))


def _facts(node: BaseNode) -> list[Any]:
    """The metadata: the node's own, and that of related nodes, of which LlamaIndex keeps copies in every chunk.

    Between them what an `IndexNode` stands for, if that is content and not a retriever or engine.
    """
    return [node.metadata, _meant(node), *(info.metadata for info in related(node))]


def _meant(node: BaseNode) -> Any:
    meant = getattr(node, "obj", None)
    return meant if isinstance(meant, (BaseNode, str, dict, list)) else None


def _foreign(node: BaseNode) -> Foreign | None:
    return _walk_meant if isinstance(_meant(node), BaseNode) else None


def _walk_meant(value: Any, origin: Origin, walk: Walk) -> Any:
    return walk_node(value, walk) if isinstance(value, BaseNode) else walk_object(value, origin, walk)


def walk_node(node: BaseNode, walk: Walk) -> BaseNode:
    """A copy of a node with its text and all facts walked."""
    text = _text(node)
    new, facts = walk(text, Origin.EXTERNAL, ""), _facts(node)
    return _rewritten(node, new, [walk(fact, Origin.EXTERNAL, "metadata") for fact in facts])


def related(node: BaseNode) -> list[RelatedNodeInfo]:
    """What a node knows of other nodes."""
    known = [info if isinstance(info, list) else [info] for info in node.relationships.values()]
    return [info for several in known for info in several]


def duplicate(node: _Node) -> _Node:
    """A copy that shares nothing that could be changed."""
    vectors = [vector for name in _VECTORS if isinstance(vector := getattr(node, name, None), list)]
    # A deep copy looks at every number of a vector: that takes longer than to check the text.
    return copy.deepcopy(node, {id(vector): list(vector) for vector in vectors})


_VECTORS = ("embedding", "text_embedding")


def _copy(node: _Node, result: GuardResult, *, mark: bool) -> _Node:
    text, *metadata = result.output
    own = _rewritten(node, text, substitute(_facts(node), metadata, _foreign(node)))
    if mark:
        _mark(own, result.verdict)
    return own


def _mark(node: BaseNode, verdict: Verdict) -> None:
    before, name = node.metadata.get(MARK), verdict.name.lower()
    if before in _VERDICTS:
        node.metadata[MARKS] = f"{node.metadata.get(MARKS, before)}, {name}"
        name = max(before, name, key=_VERDICTS.index)
    node.metadata[MARK] = name
    for keys in (node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys):
        keys += [key for key in (MARK, MARKS) if key in node.metadata and key not in keys]


_VERDICTS = [verdict.name.lower() for verdict in Verdict]


def _rewritten(node: _Node, text: str, facts: list[Any]) -> _Node:
    """A copy that says this. Vectors of what it said before are left out: texts can be guessed from them."""
    own = duplicate(node)
    if text != _text(node):
        try:
            own.set_content(text)
        except (AttributeError, NotImplementedError, ValueError):
            raise ContentError(f"nodes of type {type(node).__name__} cannot be rewritten, only reported on") from None
    if (text, facts) != (_text(node), _facts(node)):
        for name in _VECTORS:
            if getattr(own, name, None) is not None:
                setattr(own, name, None)
    own.metadata, meant, *others = facts
    if meant is not None:
        setattr(own, "obj", meant)  # noqa: B010 - only an IndexNode has it
    for info, known in zip(related(own), others, strict=True):
        info.metadata = known
    return own
