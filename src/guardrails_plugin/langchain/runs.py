"""A guard's run as callbacks and tracers see it: stage, verdict and what was found, no text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.types import GuardResult, Verdict

__all__ = ["EVENT", "AsyncRun", "Run", "tell"]

EVENT = "guard_verdict"
"""Name of the custom event that a check leads to, unless all was fine."""


class Run:
    """One sync run."""

    def __init__(self, run: Any) -> None:
        self._run = run

    @classmethod
    def begin(cls, name: str, facts: dict[str, Any], config: RunnableConfig) -> Run:
        """A run that has been told to callbacks.

        Args:
            name: of the guard, unless the config has one.
            facts: told as its input.
            config: of the run.
        """
        manager = get_callback_manager_for_config(config)
        return cls(manager.on_chain_start(None, facts, **_named(name, config)))

    def end(self, output: Any, results: Sequence[GuardResult]) -> None:
        """Tell the verdicts, and that the run is over; ``output`` counts only when it is a refusal."""
        for verdict in _verdicts(results):
            self._run.get_child().on_custom_event(EVENT, verdict, run_id=self._run.run_id)
        if isinstance(output, GuardBlocked):
            self._run.on_chain_error(output)
        else:
            self._run.on_chain_end({"guard": "passed"})

    def fail(self, error: BaseException) -> None:
        """Tell why the run was not finished."""
        for verdict in _verdicts(_refusals(error)):
            self._run.get_child().on_custom_event(EVENT, verdict, run_id=self._run.run_id)
        if isinstance(error, GeneratorExit):
            self._run.on_chain_end({"guard": "closed"})
        else:
            self._run.on_chain_error(error)


class AsyncRun:
    """`Run` with awaited callbacks."""

    def __init__(self, run: Any) -> None:
        self._run = run

    @classmethod
    async def begin(cls, name: str, facts: dict[str, Any], config: RunnableConfig) -> AsyncRun:
        """See `Run.begin`."""
        manager = get_async_callback_manager_for_config(config)
        return cls(await manager.on_chain_start(None, facts, **_named(name, config)))

    async def end(self, output: Any, results: Sequence[GuardResult]) -> None:
        """See `Run.end`."""
        for verdict in _verdicts(results):
            await self._run.get_child().on_custom_event(EVENT, verdict, run_id=self._run.run_id)
        if isinstance(output, GuardBlocked):
            await self._run.on_chain_error(output)
        else:
            await self._run.on_chain_end({"guard": "passed"})

    async def fail(self, error: BaseException) -> None:
        """See `Run.fail`."""
        for verdict in _verdicts(_refusals(error)):
            await self._run.get_child().on_custom_event(EVENT, verdict, run_id=self._run.run_id)
        if isinstance(error, (GeneratorExit, asyncio.CancelledError)):
            await self._run.on_chain_end({"guard": "closed"})
        else:
            await self._run.on_chain_error(error)


def tell(results: Sequence[GuardResult], config: RunnableConfig | None = None) -> None:
    """Tell the verdicts to the run of a config, by default the current one; outside of one there is nobody to tell."""
    own = ensure_config(config)
    if not own.get("callbacks"):
        return
    manager = get_callback_manager_for_config(own)
    if manager.parent_run_id is None:
        return
    for verdict in _verdicts(results):
        manager.on_custom_event(EVENT, verdict, run_id=manager.parent_run_id)


def _refusals(error: BaseException) -> list[GuardResult]:
    """The result of a refusal that ended a stream."""
    return [error.result] if isinstance(error, GuardBlocked) and error.result is not None else []


def _verdicts(results: Sequence[GuardResult]) -> list[dict[str, Any]]:
    """JSON-serialisable; never the matched text."""
    return [
        {
            "result_id": result.id,
            "stage": result.stage.value,
            "recipe": result.recipe,
            "verdict": result.verdict.name.lower(),
            "reasons": list(result.reasons),
            "findings": [
                {"detector": made.finding.detector, "type": made.finding.entity_type, "action": made.action}
                for made in result.decisions
            ],
        }
        for result in results
        if result.verdict is not Verdict.ALLOW
    ]


def _named(name: str, config: RunnableConfig) -> dict[str, Any]:
    return {"name": config.get("run_name") or name, "run_id": config.get("run_id")}
