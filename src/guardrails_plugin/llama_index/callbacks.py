"""`GuardAuditEventHandler`: the guards' verdicts about what LlamaIndex reports while it runs."""

from __future__ import annotations

from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.agent import AgentToolCallEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.query import QueryStartEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent
from llama_index.core.schema import QueryBundle
from pydantic import PrivateAttr

from guardrails_plugin.engine import Engine
from guardrails_plugin.llama_index.guarding import Guarding, Overrides, Recipes, guarding
from guardrails_plugin.llama_index.tags import ids
from guardrails_plugin.types import Stage

__all__ = ["GuardAuditEventHandler"]


class GuardAuditEventHandler(BaseEventHandler):
    """Checks what is reported about models, tools, queries and retrievals, and writes it to the engine's sinks.

    It only observes. LlamaIndex ignores whatever a handler raises, so this one **cannot block or change anything**:
    use it to see what an application would need, or to watch one whose parts cannot be wrapped; the other guards of
    this package do the guarding. Checks run where the event is sent, on the caller's thread.

    Register it with ``llama_index.core.instrumentation.get_dispatcher().add_event_handler(...)``.

    Args:
        engine: an engine with sinks; without them nothing is written down.
        recipes: names of recipes, by stage.
        overrides: changes to them, by stage, then by rule name.
    """

    _policy: Guarding = PrivateAttr()

    def __init__(self, *, engine: Engine, recipes: Recipes | None = None, overrides: Overrides | None = None) -> None:
        super().__init__()
        self._policy = guarding(engine, recipes=recipes, overrides=overrides)

    @classmethod
    def class_name(cls) -> str:
        return "GuardAuditEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Check one event."""
        found = _content(event)
        if found is None:
            return
        stage, content = found
        self._policy.within(metadata=ids(event.tags)).check(stage, content)


def _content(event: BaseEvent) -> tuple[Stage, Any] | None:
    """What an event says, and at which stage that is guarded."""
    if isinstance(event, LLMChatStartEvent):
        return Stage.LLM_PROMPT, event.messages
    if isinstance(event, LLMCompletionStartEvent):
        return Stage.LLM_PROMPT, event.prompt
    if isinstance(event, LLMChatEndEvent):
        return (Stage.RESPONSE, event.response.message) if event.response else None
    if isinstance(event, LLMCompletionEndEvent):
        return Stage.RESPONSE, event.response.text
    if isinstance(event, QueryStartEvent):
        return Stage.PROMPT, event.query.query_str if isinstance(event.query, QueryBundle) else event.query
    if isinstance(event, RetrievalEndEvent):
        return Stage.POST_TOOL, [scored.node for scored in event.nodes]
    return (Stage.PRE_TOOL, event.arguments) if isinstance(event, AgentToolCallEvent) else None
