"""Exceptions of what is behind guards: LangGraph shows a tool's to the model, handlers and tracers keep all of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace, TracebackType
from typing import Any

from langchain_core.tools import ToolException

from guardrails_plugin.errors import ContentError, GuardBlocked, GuardError
from guardrails_plugin.failing import chained
from guardrails_plugin.langchain.check import StageCheck
from guardrails_plugin.langchain.interrupts import guarded_interrupt
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.langchain.tool_gate import ToolGate

__all__ = ["GuardedFailures", "InnerFailedError", "ToolFailedError", "guarded_failure"]


_NOTES = "__notes__"
_UNGUARDED = "What it said was left out: it cannot be guarded."


class ToolFailedError(Exception):
    """A tool failed with an exception that cannot be made anew with a guarded text; this is that text."""


class InnerFailedError(Exception):
    """A model or retriever failed with an exception that cannot be made anew with a guarded text; this is that text."""


def guarded_failure(error: Exception, gate: ToolGate, name: str) -> Exception:
    """The exception as it may leave a tool: itself where nothing in it is to be guarded, else one of its type.

    Handlers and retries choose by type and by attributes such as ``status_code``, so these stay. A new one has the
    guarded arguments, the attributes that are plain values, guarded, and of an HTTP response its status and the headers
    that retries read; no cause, no traceback. Of LangGraph's control flow the values of interrupts are guarded; the
    rest of it, and our own errors, pass.

    Args:
        error: what the tool raised.
        gate: what results pass through.
        name: of the tool.

    Raises:
        GuardBlocked: it was refused, and blocks raise.
    """

    def refused(blocked: GuardBlocked) -> str:
        return str(gate.refuse({"name": name, "args": {}, "id": ""}, blocked).content)

    # Tools have rules for ToolExceptions of every kind.
    kind = ToolException if isinstance(error, ToolException) else ToolFailedError
    if gate.post is None:
        return error
    return guarded_interrupt(error, gate, name) or _guarded(error, _Policy(gate.guarded, refused, kind))


class GuardedFailures:
    """Exceptions that leave the ``with`` block are guarded like those of tools, see `guarded_failure`.

    What is refused keeps its type, too, and says that it was refused: who repeats calls does so by type.

    Args:
        guard: of what comes out of the block; None for none.
        run_manager: of the run that they leave.
        what: runs in the block, as users call it.
    """

    def __init__(self, guard: Guard | None, run_manager: Any, what: str) -> None:
        self._guard = guard
        self._run_manager = run_manager
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _raise_other(error, self._left(error))

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            _raise_other(error, await asyncio.to_thread(self._left, error))

    def _left(self, error: BaseException | None) -> BaseException | None:
        if self._guard is None or not isinstance(error, Exception):
            return error
        check = StageCheck(self._guard).of_run(self._run_manager)

        def refused(blocked: GuardBlocked) -> str:
            return f"The {self._what} failed; what it said was blocked by policy ({', '.join(blocked.reasons)})."

        return _guarded(error, _Policy(lambda value: check(value).value, refused, InnerFailedError))


def _raise_other(error: BaseException | None, other: BaseException | None) -> None:
    if other is None or other is error:
        return
    try:
        raise other from None
    finally:
        # Python notes the one that is being handled: it is what must not be told.
        other.__context__ = None


@dataclass(frozen=True, slots=True)
class _Policy:
    """How what is told is guarded, what is said of a refused one, and what stands for one that cannot be made anew."""

    guarded: Callable[[Any], Any]
    refused: Callable[[GuardBlocked], str]
    kind: type[Exception]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a new exception is made of."""

    args: Sequence[Any] = field(repr=False)
    attributes: Mapping[str, Any] = field(repr=False)


def _guarded(error: Exception, policy: _Policy) -> Exception:
    if _passes(error):
        return error
    told, said = list(_told(error)), [_UNGUARDED]
    try:
        said = policy.guarded(told)
        if said == told:
            return error
        content = _Content(policy.guarded(list(error.args)), policy.guarded(_plain(error)))
    except GuardBlocked as blocked:
        said = [policy.refused(blocked)]
        numbers = {name: value for name, value in _plain(error).items() if isinstance(value, (bool, int, float, Enum))}
        content = _Content(said, numbers)
    except ContentError:
        return policy.kind(said[0])
    return _alike(error, content, policy) or policy.kind(said[0])


def _alike(error: Exception, content: _Content, policy: _Policy) -> Exception | None:
    """An exception of that type, unless it says more than this or cannot be made of it."""
    # Constructors are somebody else's: they may want, say and do anything.
    makers: tuple[Callable[..., Exception], ...] = (type(error), lambda *args: type(error).__new__(type(error), *args))
    for make in makers:
        try:
            made = make(*content.args)
            there = dict.fromkeys(name for name in vars(error) if name != _NOTES)
            vars(made).update({**there, **vars(made), **content.attributes, **_answer(error)})
            told = list(_told(made))
            if policy.guarded(told) == told:
                return made
        except Exception:  # noqa: BLE001, S112 - as said above
            continue
    return None


def _told(error: BaseException) -> Iterator[Any]:
    """All that a handler or a traceback says of an exception, and what can be read in it."""
    for current in chained(error):
        yield str(current)
        yield repr(current)
        yield from (str(note) for note in getattr(current, _NOTES, ()))
        yield _plain(current)
        yield _body(current)


def _plain(error: BaseException) -> dict[str, Any]:
    """Its attributes that are plain values."""
    return {name: value for name, value in vars(error).items() if name != _NOTES and _is_plain(value)}


def _is_plain(value: Any, depth: int = 20) -> bool:
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(key, str) and _is_plain(own, depth - 1) for key, own in value.items())
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(_is_plain(own, depth - 1) for own in value)
    return value is None or isinstance(value, (str, bool, int, float, Enum))


def _body(error: BaseException) -> str | None:
    """What an HTTP response says, which LangChain tells handlers with the error."""
    try:
        text = vars(error)["response"].text
    except Exception:  # noqa: BLE001 - none, or one of a stream that was not read
        return None
    return text if isinstance(text, str) else None


_HEADERS = ("retry", "ratelimit", "rate-limit", "request-id")
"""What the names of headers say that retries and logs read."""


def _answer(error: BaseException) -> dict[str, Any]:
    """An HTTP response without its body: status, and when to try again."""
    response = vars(error).get("response")
    headers, status = getattr(response, "headers", None), getattr(response, "status_code", None)
    if not isinstance(headers, Mapping) or not isinstance(status, int):
        return {}
    kept = {name: value for name, value in headers.items() if any(part in str(name).lower() for part in _HEADERS)}
    kinds: tuple[Any, Any] = (type(response), type(headers))
    try:
        # Of httpx, whose headers are found in any spelling.
        return {"response": kinds[0](status, headers=kinds[1](kept))}
    except Exception:  # noqa: BLE001 - of another library, or a double
        return {"response": SimpleNamespace(status_code=status, headers=kept)}


def _passes(error: Exception) -> bool:
    """True for control flow, and for errors of ours, which hold no guarded text."""
    if isinstance(error, GuardError):
        return True
    # Without LangGraph imported none of its exceptions can be raised.
    graph: Any = sys.modules.get("langgraph.errors")
    if graph is None:
        return False
    resumed = getattr(graph, "is_invalid_resume", None)
    return isinstance(error, graph.GraphBubbleUp) or (resumed is not None and bool(resumed(error)))
