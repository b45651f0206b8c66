"""How a Runnable can be run, and what is to be seen of it: chunks, events, callbacks, run trees, checkpoints."""

from __future__ import annotations

import inspect
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langchain_core.tracers.base import BaseTracer

from guardrails_plugin.testing.graph_start import GraphStart
from guardrails_plugin.testing.leaks import Mode
from guardrails_plugin.testing.watch import Watch

__all__ = ["langchain_modes"]

Config = Mapping[str, Any]


def langchain_modes(app: Any, config: Config) -> dict[str, Mode] | None:
    """The modes of a Runnable by name; None when it is none.

    Args:
        app: the application.
        config: of every run.
    """
    if not isinstance(app, Runnable):
        return None
    runs: dict[str, Callable[[Any, Any, Any, Watch], Any]] = {
        "invoke": _invoke,
        "ainvoke": _ainvoke,
        "stream": _stream(),
        "astream": _astream(),
        "astream_log": _log,
        "events v2": _events,
        "events v3": _events_v3,
        "async events v3": _async_events_v3,
    }
    if _is_graph(app):
        # Deferred: only who has a graph has langgraph.
        from langgraph.types import StreamMode

        for name in get_args(StreamMode):
            runs[f"stream {name}"] = _stream(stream_mode=name, subgraphs=True)
            runs[f"astream {name}"] = _astream(stream_mode=name, subgraphs=True)
    turns = {name: _turns(run, config) for name, run in runs.items()}
    return {**turns, "batch": _batch(config), "abatch": _abatch(config)}


def _turns(run: Callable[[Any, Any, Any, Watch], Any], config: Config) -> Mode:
    """A mode that runs the turns of one conversation and then looks at what is stored of it."""

    def sync(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with _watched(app, config, watch) as own:
            for value in inputs:
                run(app, value, own, watch)

    async def later(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with _watched(app, config, watch) as own:
            for value in inputs:
                await run(app, value, own, watch)

    return later if inspect.iscoroutinefunction(run) else sync


def _batch(config: Config) -> Mode:
    def batch(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with _watched(app, config, watch) as own:
            watch.see("output", app.batch(list(inputs), [_elsewhere(own) for _ in inputs]))

    return batch


def _abatch(config: Config) -> Mode:
    async def abatch(app: Any, inputs: Sequence[Any], watch: Watch) -> None:
        with _watched(app, config, watch) as own:
            watch.see("output", await app.abatch(list(inputs), [_elsewhere(own) for _ in inputs]))

    return abatch


def _invoke(app: Any, value: Any, config: Any, watch: Watch) -> None:
    watch.see("output", app.invoke(value, config))


async def _ainvoke(app: Any, value: Any, config: Any, watch: Watch) -> None:
    watch.see("output", await app.ainvoke(value, config))


def _stream(**options: Any) -> Callable[..., None]:
    def stream(app: Any, value: Any, config: Any, watch: Watch) -> None:
        start = GraphStart()
        for chunk in app.stream(value, config, **options):
            _chunk(chunk, options.get("stream_mode"), start, watch)

    return stream


def _astream(**options: Any) -> Callable[..., Any]:
    async def stream(app: Any, value: Any, config: Any, watch: Watch) -> None:
        start = GraphStart()
        async for chunk in app.astream(value, config, **options):
            _chunk(chunk, options.get("stream_mode"), start, watch)

    return stream


def _chunk(chunk: Any, mode: str | None, start: GraphStart, watch: Watch) -> None:
    own = chunk[1] if mode else chunk  # (namespace, chunk), since subgraphs are asked for
    watch.see("graph input" if start.chunk(mode, own) else "chunk", own)
    watch.piece("chunk", mode, own)


async def _log(app: Any, value: Any, config: Any, watch: Watch) -> None:
    with _no_warning("deprecated"):
        async for patch in app.astream_log(value, config):
            for change in patch.ops:
                watch.see(f"log patch {_nameless(change['path'])}", change.get("value"))


async def _events(app: Any, value: Any, config: Any, watch: Watch) -> None:
    start = GraphStart()
    async for event in app.astream_events(value, config, version="v2"):
        place = f"event {event['event']} {event['name']}"
        data = dict(event["data"])
        given = data.pop("input", None)
        early = start.run(event["event"], event["run_id"], event["metadata"])
        inputs = "graph input event" if early else f"{place} input"
        watch.see(inputs if event["parent_ids"] else "root input event", given)
        watch.see(place, {**event, "data": data})
        watch.piece(place, event["run_id"], data.get("chunk"))


def _events_v3(app: Any, value: Any, config: Any, watch: Watch) -> None:
    with _no_warning("experimental|.*beta"):
        start = GraphStart()
        run = app.stream_events(value, config, version="v3")
        for event in run:
            _event_v3(event, start, watch)
        watch.see("output", run.output)


async def _async_events_v3(app: Any, value: Any, config: Any, watch: Watch) -> None:
    with _no_warning("experimental|.*beta"):
        start = GraphStart()
        run = app.astream_events(value, config, version="v3")
        run = await run if inspect.isawaitable(run) else run
        async for event in run:
            _event_v3(event, start, watch)
        output = run.output() if callable(run.output) else run.output
        watch.see("output", await output if inspect.isawaitable(output) else output)


def _event_v3(event: Any, start: GraphStart, watch: Watch) -> None:
    name = str(event.get("method") or event.get("event"))
    data = event.get("params", {}).get("data")
    watch.see("graph input event" if start.chunk(name, data) else f"event {name}", event)
    source = data[0] if isinstance(data, tuple) else event
    delta = source.get("delta") if isinstance(source, Mapping) else None
    if isinstance(delta, Mapping):
        watch.piece(f"event {name}", None, delta.get("text"))


class _Handler(BaseCallbackHandler):
    """Sees what every hook of LangChain's callbacks is told."""

    raise_error = True
    run_inline = True

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._starts: dict[Any, GraphStart] = {}

    def told(self, hook: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """One call of a hook."""
        payload = {name: value for name, value in kwargs.items() if name not in {"run_id", "parent_run_id"}}
        is_root = kwargs.get("parent_run_id") is None
        place = f"callback {hook} {kwargs.get('name') or ''}".strip()
        # One for each outermost run: several run at once in a batch.
        start = GraphStart() if is_root else self._starts.get(kwargs["parent_run_id"], GraphStart())
        start = self._starts.setdefault(kwargs.get("run_id"), start)
        if start.run(hook, kwargs.get("run_id"), kwargs.get("metadata")) and hook.endswith("_start"):
            place = "graph input callback"
        if is_root:
            # Streams tell their input when they end: when they began it was not complete.
            self._watch.see("root input callback", payload.pop("inputs", None))
        self._watch.see("root input callback" if is_root and hook.endswith("_start") else place, [*args, payload])
        if hook == "on_llm_new_token":
            self._watch.piece(place, kwargs.get("run_id"), args[0] if args else kwargs.get("token"))


def _hook(name: str) -> Callable[..., None]:
    def told(self: _Handler, *args: Any, **kwargs: Any) -> None:
        self.told(name, args, kwargs)

    return told


for _name in dir(BaseCallbackHandler):
    if _name.startswith("on_"):
        setattr(_Handler, _name, _hook(_name))


class _Tracer(BaseTracer):
    """Sees what a tracing service would be sent: every run of the tree."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def _persist_run(self, run: Any) -> None:
        self._see(run, is_root=True)

    def _see(self, run: Any, *, is_root: bool = False) -> None:
        place = f"trace {run.run_type} {run.name}"
        self._watch.see("root input trace" if is_root else f"{place} inputs", run.inputs)
        for part in ("outputs", "error", "events", "extra", "tags", "serialized"):
            self._watch.see(f"{place} {part}", getattr(run, part, None))
        for child in run.child_runs:
            self._see(child)


@contextmanager
def _watched(app: Any, config: Config, watch: Watch) -> Iterator[dict[str, Any]]:
    """The config of a run whose callbacks and tracers are watched; what it stored is looked at in the end."""
    own: dict[str, Any] = _elsewhere(config)
    own["callbacks"] = [*(config.get("callbacks") or []), _Handler(watch), _Tracer(watch)]
    try:
        yield own
    finally:
        for graph in _graphs(app):
            _stored(graph, own, watch)


def _elsewhere(config: Config) -> dict[str, Any]:
    """The config with a thread of its own."""
    return {**config, "configurable": {**config.get("configurable", {}), "thread_id": uuid.uuid4().hex}}


def _stored(graph: Any, config: dict[str, Any], watch: Watch) -> None:
    """Checkpoints with their pending writes, and the store."""
    saver = graph.checkpointer
    if saver is not None and not isinstance(saver, bool):
        found = saver.list({"configurable": {"thread_id": config["configurable"]["thread_id"]}})
        start = GraphStart()
        for saved in sorted(found, key=lambda saved: saved.metadata["step"]):
            place = "graph input checkpoint" if start.step(saved.metadata) else "checkpoint"
            watch.see(place, [saved.checkpoint, saved.metadata, saved.pending_writes])
        start = GraphStart()
        states = graph.get_state_history({"configurable": config["configurable"]})
        for state in sorted(states, key=lambda state: state.metadata["step"]):
            place = "graph input state" if start.step(state.metadata) else "state"
            watch.see(place, [state.values, state.tasks, state.metadata, state.interrupts])
    if graph.store is not None:
        for item in graph.store.search((), limit=10_000):
            watch.see("store", [item.namespace, item.key, item.value])


def _is_graph(app: Any) -> bool:
    return callable(getattr(app, "get_state_history", None)) and hasattr(app, "checkpointer")


def _graphs(app: Any) -> Iterator[Any]:
    """The graphs in a chain."""
    if _is_graph(app):
        yield app
    elif isinstance(app, RunnableBinding):
        yield from _graphs(app.bound)
    elif isinstance(app, RunnableSequence):
        for step in app.steps:
            yield from _graphs(step)


def _nameless(path: str) -> str:
    """A JSON patch path without its indices."""
    return "/".join("[]" if part.isdigit() else part for part in path.split("/"))


@contextmanager
def _no_warning(about: str) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{about}")
        yield
