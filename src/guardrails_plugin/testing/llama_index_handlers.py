"""What LlamaIndex tells about a run: instrumentation events and spans, and its older callbacks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core import Settings
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import active_span_id
from pydantic import PrivateAttr

from guardrails_plugin.testing.watch import Watch

__all__ = ["instrumented"]


@contextmanager
def instrumented(app: Any, watch: Watch) -> Iterator[None]:
    """Show the watch everything that is told while the block runs, by this application or any other."""
    root = get_dispatcher()
    spans = _Spans(watch)
    events = _Events(watch, spans)
    managers = {id(manager): manager for manager in (Settings.callback_manager, getattr(app, "callback_manager", None))}
    callbacks = _Callbacks(watch)
    root.add_event_handler(events)
    root.add_span_handler(spans)
    for manager in managers.values():
        if manager is not None:
            manager.add_handler(callbacks)
    try:
        yield
    finally:
        # By identity: handlers are models, which are equal when their fields are.
        root.event_handlers = [handler for handler in root.event_handlers if handler is not events]
        root.span_handlers = [handler for handler in root.span_handlers if handler is not spans]
        for manager in managers.values():
            if manager is not None:
                manager.remove_handler(callbacks)


class _Spans(BaseSpanHandler[BaseSpan]):
    _watch: Watch = PrivateAttr()
    _roots: set[str] = PrivateAttr(default_factory=set)

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    @classmethod
    def class_name(cls) -> str:
        return "LeakSpans"

    def is_root(self, span: str | None) -> bool:
        """Whether a span is nobody's child."""
        return span in self._roots

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> BaseSpan | None:
        """Look at the arguments: this is what an exporter stores."""
        if parent_span_id is None:
            self._roots.add(id_)
        place = "root input span" if parent_span_id is None else f"instrumentation span {_named(id_)} arguments"
        self._watch.see(place, [bound_args.arguments, tags])
        return None

    def prepare_to_exit_span(
        self, id_: str, bound_args: inspect.BoundArguments, instance: Any = None, result: Any = None, **kwargs: Any
    ) -> None:
        """Look at the result."""
        self._watch.see(f"instrumentation span {_named(id_)} result", result)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the error."""
        self._watch.see(f"instrumentation span {_named(id_)} error", err)


class _Events(BaseEventHandler):
    _watch: Watch = PrivateAttr()
    _spans: _Spans = PrivateAttr()

    def __init__(self, watch: Watch, spans: _Spans) -> None:
        super().__init__()
        self._watch, self._spans = watch, spans

    @classmethod
    def class_name(cls) -> str:
        return "LeakEvents"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Look at an event."""
        name = type(event).__name__
        is_input = name.endswith("StartEvent") and self._spans.is_root(event.span_id)
        self._watch.see("root input event" if is_input else f"instrumentation {name}{_by(event.span_id)}", event)


class _Callbacks(BaseCallbackHandler):
    def __init__(self, watch: Watch) -> None:
        super().__init__([], [])
        self._watch = watch
        self._tellers: dict[str, str] = {}

    def on_event_start(
        self, event_type: Any, payload: Any = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        """Look at what an event begins with."""
        if event_type is CBEventType.LLM:
            # Models tell it from within their own span; a stream ends in anybody's.
            self._tellers[event_id] = _by(active_span_id.get())
        self._watch.see(f"callback {event_type.value} start", payload)
        return event_id

    def on_event_end(self, event_type: Any, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        """Look at what an event ends with."""
        self._watch.see(f"callback {event_type.value} end{self._tellers.get(event_id, '')}", payload)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to see."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Nothing to see."""


def _by(span: str | None) -> str:
    """Whose event it is, by the span it was told in."""
    return f" of {_named(span).partition('.')[0]}" if span else ""


def _named(span: str) -> str:
    """The method of a span, without its random id."""
    return span.partition("-")[0]
