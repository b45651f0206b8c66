"""Which of what a LangGraph run shows is its input as it came in, before any node could change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["GraphStart"]


class GraphStart:
    """Follows one run from its beginning; told everything it shows, in order."""

    def __init__(self) -> None:
        self._input_step: int | None = None
        self._over = False
        self._first: set[Any] = set()

    def step(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a checkpoint is that of an input, or of the state that it made."""
        if metadata.get("source") == "input":
            self._input_step = metadata["step"]
            return True
        return self._input_step is not None and metadata.get("step") == self._input_step + 1

    def chunk(self, mode: str | None, chunk: Any) -> bool:
        """Whether a chunk of a stream mode tells the input: the first value, the tasks that start on it."""
        if not isinstance(chunk, Mapping) or mode not in {"values", "tasks", "checkpoints", "debug"}:
            return False
        own = chunk.get("payload", chunk)
        if "metadata" in own and "source" in (own["metadata"] or {}):
            return self.step(own["metadata"])
        early = not self._over
        self._over = self._over or mode == "values" or "result" in own
        return early and "result" not in own

    def run(self, event: str, run_id: Any, metadata: Mapping[str, Any] | None) -> bool:
        """Whether a run is one of the first node's: what that is told is the input."""
        if event == "on_chain_start" and not self._over and "langgraph_node" in (metadata or {}):
            self._first.add(run_id)
        if event == "on_chain_end" and run_id in self._first:
            self._over = True
        return run_id in self._first
