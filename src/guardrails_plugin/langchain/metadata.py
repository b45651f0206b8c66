"""What is said beside a message (``response_metadata``): citations, filters and headers of an answer may quote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails_plugin import objects
from guardrails_plugin.conversation import Walk
from guardrails_plugin.types import Origin

__all__ = ["guarded_metadata", "quotes", "refusal_metadata"]

_FACTS = frozenset(
    "id object created created_at done done_reason model model_name model_id model_version model_provider provider"
    " ls_provider finish_reason stop_reason stop_sequence system_fingerprint service_tier token_usage usage"
    " usage_metadata logprobs guard".split()
)
"""Entries that hold ids, names and counts, what LangChain's callers look up, or what is told by us."""


def guarded_metadata(metadata: Mapping[str, Any], walk: Walk, origin: Origin) -> dict[str, Any]:
    """The metadata with its texts guarded. Numbers stay numbers: most are times and counts."""
    return {key: value if key in _FACTS else _guarded(value, walk, origin) for key, value in metadata.items()}


def refusal_metadata(metadata: Mapping[str, Any], stage: str, result_id: str) -> dict[str, Any]:
    """The metadata of a refusal: its mark, with an earlier guard's mark under ``before``, and nothing else.

    Args:
        metadata: of the refused message; its tokens stay, since other messages may hold what they turn back.
        stage: where it was refused.
        result_id: of the result.
    """
    earlier = metadata.get("guard")
    mark: dict[str, Any] = {"stage": stage, "verdict": "block", "result_id": result_id}
    if isinstance(earlier, Mapping):
        before = {name: earlier[name] for name in (*mark, "before") if name in earlier}
        tokens = {"fpe_context": earlier["fpe_context"]} if "fpe_context" in earlier else {}
        mark |= {**({"before": before} if before else {}), **tokens}
    return {"guard": mark}


def quotes(metadata: Mapping[str, Any]) -> bool:
    """Whether there is anything in it to be guarded."""
    return not _FACTS.issuperset(metadata)


def _guarded(value: Any, walk: Walk, origin: Origin) -> Any:
    if isinstance(value, str):
        return walk(value, origin, "")
    if isinstance(value, Mapping):
        return {key: _guarded(own, walk, origin) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [_guarded(own, walk, origin) for own in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    known = objects.walk_object(value, origin, walk)
    # An object of the provider's own may quote anything and cannot be read.
    return None if known is NotImplemented else known
