"""Who said what in an agent's conversation: the user's words are trusted, what tools returned is not.

LlamaIndex hands tools no conversation. So the door of a guarded agent (`guard_agent`) opens a `Said` for the run; its
steps run in copies of the door's context, where models and tools find it and add what they learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from guardrails_plugin.types import Context

__all__ = ["Said", "opened", "remember", "said_here", "system_text"]


@dataclass
class Said:
    """One conversation, over all its turns."""

    prompt: str = ""
    history: list[str] = field(default_factory=list, repr=False)
    system: str = field(default="", repr=False)
    untrusted: list[str] = field(default_factory=list, repr=False)
    calls: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    admitted: list[tuple[Any, Mapping[str, Any]]] = field(default_factory=list, repr=False)
    """Calls that the model's guard let pass, and by which policy; their tools need not ask again."""
    recalled: bool = False

    def admits(self, policy: Any, call: Mapping[str, Any]) -> bool:
        """Whether a call was let pass by this policy; once for each time that it was."""
        if (policy, call) not in self.admitted:
            return False
        self.admitted.remove((policy, call))
        return True

    def turn(self, user_msg: Any, chat_history: Sequence[ChatMessage] | None) -> None:
        """The user speaks: a text or message, and what the application says was said before."""
        if self.prompt:
            self.history.append(self.prompt)
        self.calls.clear()
        self.admitted.clear()
        self.recalled = False
        self.prompt = _text(user_msg)
        for message in chat_history or ():
            self._add(message)

    def recall(self, messages: Sequence[ChatMessage]) -> None:
        """What a memory knows of earlier turns: it is in the first prompt of a turn, before anybody has added to it."""
        if self.recalled:
            return
        self.recalled = True
        known = {self.prompt, *self.history, *self.untrusted}
        for message in messages:
            if _text(message) not in known:
                self._add(message)

    def _add(self, message: ChatMessage) -> None:
        text = _text(message)
        if message.role in {MessageRole.TOOL, MessageRole.FUNCTION} or text.startswith(_RESULTS):
            self.untrusted.append(text)
        elif message.role is MessageRole.USER:
            self.history.append(text)

    def context(self, base: Context) -> Context:
        """``base`` with all this; a snapshot."""
        prompt = self.prompt or base.prompt
        return replace(
            base,
            prompt=prompt,
            history=[*base.history, *self.history],
            system="\n".join(filter(None, (base.system, self.system))),
            untrusted=[*base.untrusted, *self.untrusted],
            calls=[*base.calls, *self.calls],
        )


_RESULTS = ("Result of executing the code given:", "Observation: ")
"""How messages begin by which agents tell their model, in the user's name, what a tool gave."""

_current: ContextVar[Said | None] = ContextVar("guardrails_plugin_said", default=None)
_known: WeakKeyDictionary[Any, Said] = WeakKeyDictionary()
"""Conversations by the workflow context that carries them from turn to turn."""


def said_here() -> Said | None:
    """The conversation that this code runs for; None outside of guarded agents."""
    return _current.get()


@contextmanager
def opened(workflow_context: Any, user_msg: Any, chat_history: Sequence[ChatMessage] | None) -> Iterator[Said]:
    """The conversation of a run that begins in here.

    An agent that is run by another one's tool takes part in that one's conversation: what it is told there, a model
    wrote.
    """
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    said = (_known.get(workflow_context) if workflow_context is not None else None) or Said()
    said.turn(user_msg, chat_history)
    token = _current.set(said)
    try:
        yield said
    finally:
        _current.reset(token)


def remember(workflow_context: Any, said: Said) -> None:
    """For the next turn that is run with this workflow context."""
    _known[workflow_context] = said


def system_text(messages: Sequence[ChatMessage]) -> str:
    """What the developer tells the model."""
    return "\n".join(_text(m) for m in messages if m.role in {MessageRole.SYSTEM, MessageRole.DEVELOPER})


def _text(message: Any) -> str:
    return str(message.content or "") if isinstance(message, ChatMessage) else str(message or "")
