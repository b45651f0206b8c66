"""Ids from LlamaIndex's ``instrument_tags``: they go into the audit record of every check made under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llama_index_instrumentation.dispatcher import active_instrument_tags

from guardrails_plugin.types import Context

__all__ = ["ids", "tagged"]

_IDS = ("user_id", "session_id", "thread_id", "run_id", "request_id", "app")
"""Other tags may hold anything, and stay out."""


def ids(tags: Mapping[str, Any]) -> dict[str, str]:
    """The ids among the tags."""
    return {key: str(tags[key]) for key in _IDS if tags.get(key)}


def tagged(context: Context) -> Context:
    """The context with the ids that this code runs under."""
    known = ids(active_instrument_tags.get())
    return replace(context, metadata={**context.metadata, **known}) if known else context
