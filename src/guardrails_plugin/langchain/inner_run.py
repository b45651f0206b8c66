"""The run of what is behind a guard: seen by nobody, with the config of the run around it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.globals import get_debug
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langchain_core.tracers.stdout import ConsoleCallbackHandler
from pydantic import BaseModel

__all__ = ["current", "handlers", "inner_config", "outer_config", "without_handlers"]


def _say_nothing(_: str) -> None:
    pass


class _Silent(ConsoleCallbackHandler):
    """Stands where ``set_debug(True)`` would put the handler that prints every run, prompts and replies in it."""

    def __init__(self) -> None:
        super().__init__()
        self.function_callback = _say_nothing


def inner_config() -> RunnableConfig:
    """The config to call something with whose run is hidden; see also `exchange.hidden`."""
    return {"callbacks": [_Silent()] if get_debug() else []}


def outer_config(config: RunnableConfig | None) -> RunnableConfig:
    """What of a run's config those inside are to know: LangChain makes it the current one for chains only.

    Without it they would not know the ``configurable`` values that choose a model's alternative, say.
    """
    own = ensure_config(config)
    own.pop("run_id", None)
    return own


@contextmanager
def current(config: RunnableConfig) -> Generator[None]:
    """Makes it the current config."""
    before = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(before)


def without_handlers(inner: Any) -> tuple[Any, list[BaseCallbackHandler]]:
    """A model or retriever without the handlers it carries, and these; itself when there are none.

    They would be told its run: what its guard is asked about. Nothing that came in is changed.
    """
    found: list[BaseCallbackHandler] = []
    return _stripped(inner, found), found


def _stripped(value: Any, found: list[BaseCallbackHandler]) -> Any:
    if isinstance(value, Runnable) and isinstance(value, BaseModel):
        changed: dict[str, Any] = {}
        if carried := handlers(getattr(value, "callbacks", None)):
            changed["callbacks"] = None
            found += carried
        if isinstance(value, RunnableBindingBase) and (carried := handlers(value.config.get("callbacks"))):
            changed["config"] = {name: own for name, own in value.config.items() if name != "callbacks"}
            found += carried
        for name in type(value).model_fields:
            part = getattr(value, name)
            if name not in changed and (own := _stripped(part, found)) is not part:
                changed[name] = own
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        parts = {name: _stripped(part, found) for name, part in value.items()}
        return parts if any(parts[name] is not part for name, part in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = [_stripped(part, found) for part in value]
        return type(value)(items) if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


def handlers(callbacks: Any) -> list[BaseCallbackHandler]:
    """The handlers in what LangChain takes for callbacks: a list, a manager, or nothing."""
    if isinstance(callbacks, BaseCallbackManager):
        return list(callbacks.handlers)
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else []
