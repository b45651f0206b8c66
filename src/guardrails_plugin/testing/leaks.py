"""`assert_no_leak`: runs an application in every mode it has and looks for canaries in all that can be seen of it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from guardrails_plugin.errors import ConfigError, GuardError, unknown_name
from guardrails_plugin.testing.report import RAN, Allow, Leak, LeakReport
from guardrails_plugin.testing.watch import Watch

__all__ = ["Mode", "assert_no_leak", "find_leaks"]

_SHORTEST = 6
"""Characters of a canary: a shorter one would be found by chance."""

_PATIENCE = 5.0
"""Seconds to wait for background tasks."""

Mode = Callable[[Any, Sequence[Any], Watch], "Awaitable[None] | None"]
"""Runs an application once and shows the watch everything there is to see."""


def assert_no_leak(
    app: Any,
    canaries: Mapping[str, str] | Iterable[str],
    inputs: Any,
    *,
    allow: Iterable[Allow] = (),
    modes: Iterable[str] | None = None,
    places: Mapping[str, Callable[[], Any]] | None = None,
    config: Mapping[str, Any] | None = None,
) -> LeakReport:
    """Run the application in every mode and fail if a canary is seen raw anywhere.

    LangChain: any Runnable (chain, model, retriever, tool, LangGraph graph or agent) is run by invoke, batch, stream,
    astream_log, events v2 and v3 and their async twins, graphs in every stream mode; seen are outputs, chunks and what
    they add up to, callbacks, run trees as a tracer stores them, checkpoints, the store. LlamaIndex: query and chat
    engines, retrievers, models, tools, agents and workflows, ingestion pipelines, sync, async and streaming; seen are
    answers, sources, instrumentation events and spans, callbacks, workflow events, context, memory, docstore and cache.
    Everywhere: log records, and errors with all they hold.

    Args:
        app: the application; or a function that makes one, called for each mode, where runs leave something behind
            (a scripted model, a memory).
        canaries: values that must not be seen, by a label to report them by; plain values are labelled by number.
        inputs: what to run it with: one input, or a list of them, the turns of one conversation. A pipeline gets the
            list at once.
        allow: leaks to put up with. Start without, and allow what cannot be avoided: `CALLER_INPUT`, `GRAPH_INPUT`.
        modes: names of the modes to run; all by default (see `LeakReport.modes` for what there is).
        places: further places to look at after each mode, by name: a function that gives what is stored there.
        config: LangChain: of every run (``configurable``, ``metadata``, ...).

    Raises:
        AssertionError: a canary leaked, a mode failed, or none ran.
        ConfigError: no or too short canaries, an unknown mode, an application of an unknown kind.
    """
    report = find_leaks(app, canaries, inputs, allow=allow, modes=modes, places=places, config=config)
    return report.raise_for_leaks()


def find_leaks(
    app: Any,
    canaries: Mapping[str, str] | Iterable[str],
    inputs: Any,
    *,
    allow: Iterable[Allow] = (),
    modes: Iterable[str] | None = None,
    places: Mapping[str, Callable[[], Any]] | None = None,
    config: Mapping[str, Any] | None = None,
) -> LeakReport:
    """What `assert_no_leak` would fail for, as a report. Useful on an unguarded application too: it should leak."""
    wanted = _canaries(canaries)
    turns = list(inputs) if isinstance(inputs, list) else [inputs]
    build: Callable[[], Any] = app if _is_factory(app) else lambda: app
    known = _modes(build(), config or {})
    names = list(known) if modes is None else [_known(mode, known) for mode in modes]
    outcomes: dict[str, str] = {}
    leaks: set[Leak] = set()
    for name in names:
        watch = Watch(name, wanted)
        with watch.logs():
            outcomes[name] = _outcome(known[name], build, turns, watch)
        for place, look in (places or {}).items():
            watch.see(f"memory {place}", look())
        leaks |= watch.leaks()
    return _report(leaks, outcomes, tuple(allow))


def _outcome(mode: Mode, build: Callable[[], Any], turns: Sequence[Any], watch: Watch) -> str:
    try:
        running = mode(build(), turns, watch)
        if inspect.isawaitable(running):
            # On a thread of its own: the caller may be running in an event loop.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _awaited(running)).result()
    except NotImplementedError:
        return "unsupported: not implemented"
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not show a canary
        watch.see("error", error)
        return f"{'blocked' if isinstance(error, GuardError) else 'failed'}: {type(error).__name__}"
    return RAN


async def _awaited(running: Awaitable[None]) -> None:
    try:
        await running
    finally:
        # What the frameworks left running in the background has callbacks to tell, too.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_PATIENCE)


def _report(leaks: Iterable[Leak], outcomes: Mapping[str, str], allow: Sequence[Allow]) -> LeakReport:
    found = sorted(leaks)
    allowed = [leak for leak in found if any(one.covers(leak) for one in allow)]
    return LeakReport(
        leaks=tuple(leak for leak in found if leak not in set(allowed)),
        allowed=tuple(allowed),
        modes=outcomes,
        unused=tuple(one for one in allow if not any(one.covers(leak) for leak in allowed)),
    )


def _canaries(given: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    if isinstance(given, str):
        raise ConfigError("canaries: expected a mapping of labels to values or a list of values, got one string")
    pairs = given.items() if isinstance(given, Mapping) else _numbered(given)
    known = dict(pairs)
    if not known:
        raise ConfigError("canaries: expected at least one value to look for, got none")
    for label, value in known.items():
        if not isinstance(value, str) or len(value) < _SHORTEST:
            raise ConfigError(f"canaries: {label!r}: expected a string of at least {_SHORTEST} characters")
        if value in label:
            raise ConfigError("canaries: a label holds its own value; reports show labels")
    return known


def _numbered(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((f"canary {number}", value) for number, value in enumerate(values, 1))


def _is_factory(app: Any) -> bool:
    return inspect.isroutine(app) or isinstance(app, (type, functools.partial))


def _known(mode: str, known: Mapping[str, Mode]) -> str:
    if mode not in known:
        raise unknown_name("mode", mode, known)
    return mode


def _modes(app: Any, config: Mapping[str, Any]) -> Mapping[str, Mode]:
    """The modes of an application; a framework that was never imported made none of its parts."""
    if "langchain_core" in sys.modules:
        # Deferred, like the other one: each needs its framework.
        from guardrails_plugin.testing.langchain_modes import langchain_modes

        if (found := langchain_modes(app, {"configurable": {"thread_id": uuid.uuid4().hex}, **config})) is not None:
            return found
    if "llama_index.core" in sys.modules:
        from guardrails_plugin.testing.llama_index_modes import llama_index_modes

        if (own := llama_index_modes(app)) is not None:
            return own
    raise ConfigError(
        f"app: {type(app).__name__} is neither a LangChain Runnable nor a LlamaIndex engine, retriever, model, tool, "
        "workflow, transformation or pipeline"
    )
