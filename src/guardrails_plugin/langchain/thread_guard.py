"""Messages of a thread that no other hook guards: the input, and what others have written into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, ToolMessage
from langchain_core.runnables.config import ensure_config

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.check import StageCheck
from guardrails_plugin.langchain.encrypted import Encrypted, carry, tokens
from guardrails_plugin.langchain.reply_calls import ReplyCalls
from guardrails_plugin.langchain.tool_gate import ToolGate, provenance
from guardrails_plugin.types import Context

__all__ = ["NO_ARTIFACT", "Cleaned", "ThreadGuard", "removed"]

_REMOVED = "[removed by policy]"
_REMEMBERED = 50_000
"""Messages that are known again; the oldest are judged once more when there are more."""

NO_ARTIFACT: Mapping[str, dict[str, Any]] = {"tool": {"artifact": None}}


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What becomes of a thread's messages.

    Attributes:
        changed: those that are not what they were, under their ids.
        blocked: why one was refused; what stands in its place is among the changed.
    """

    changed: list[BaseMessage] = field(repr=False)
    blocked: GuardBlocked | None = None


class ThreadGuard:
    """Judges what a model did not say under this guard's eyes, and knows again what it has judged.

    What was judged is kept as a digest, in this process: after a restart it is judged once more.

    Args:
        plan: the check of what the model did not say; None for none.
        response: of what a model said elsewhere: an input's AI messages, those of other middleware.
        gate: what the calls in such messages pass through; None leaves them.
        raises: whether a refusal will be raised. LangGraph keeps the refused message in the thread then; when the
            thread goes on, it is taken out.
    """

    def __init__(
        self, plan: StageCheck | None, response: StageCheck | None, gate: ToolGate | None, *, raises: bool
    ) -> None:
        self._plan = plan
        self._response = response
        self._gate = gate
        self._raises = raises
        self._seen: dict[Any, None] = {}
        self._raised: dict[Any, None] = {}

    def entered(self, messages: Sequence[BaseMessage]) -> Cleaned:
        """A thread at the beginning of a turn.

        Old turns too: a message that comes in again under its id replaces what the guard had made of it, where it
        stood.
        """
        gone = {id(one): removed(one) for one in messages[:-1] if self._key(one) in self._raised}
        self.note(gone.values())
        thread = [gone.get(id(one), one) for one in messages]
        own = [place for place, one in enumerate(thread) if not isinstance(one, AIMessage) or not self._knows(one)]
        cleaned = self._cleaned(thread, own)
        return Cleaned([*gone.values(), *cleaned.changed], cleaned.blocked)

    def added(self, messages: Sequence[BaseMessage]) -> Cleaned:
        """A thread in the middle of a turn: what other middleware, a person or a node has put into it."""
        return self._cleaned(messages, [place for place, one in enumerate(messages) if not self._knows(one)])

    def note(self, messages: Iterable[Any]) -> None:
        """Know these again: they have been guarded."""
        for message in messages:
            if isinstance(message, BaseMessage):
                _remember(self._seen, _digest(message))

    def refused(self, messages: Iterable[BaseMessage]) -> None:
        """Know that a refusal of these was raised."""
        for message in messages:
            if (key := self._key(message)) is not None:
                _remember(self._raised, key)

    def _knows(self, message: BaseMessage) -> bool:
        return _digest(message) in self._seen

    def _cleaned(self, thread: Sequence[BaseMessage], places: Sequence[int]) -> Cleaned:
        context = provenance(thread)
        given = [place for place in places if not isinstance(thread[place], AIMessage)]
        said = [place for place in places if isinstance(thread[place], AIMessage)]
        first = self._judged(self._plan, thread, given, context)
        second = self._judged(self._response, thread, said, Context(system=context.system))
        return Cleaned([*first.changed, *second.changed], first.blocked or second.blocked)

    def _judged(
        self, check: StageCheck | None, thread: Sequence[BaseMessage], places: Sequence[int], context: Context
    ) -> Cleaned:
        if check is None or not places:
            return Cleaned([])
        known = Encrypted(check.engine, tokens(thread), check.tenant)
        checks = check.each([known.hide(thread[place]) for place in places], context)
        changed: list[BaseMessage] = []
        blocked: GuardBlocked | None = None
        for place, checked in zip(places, checks, strict=True):
            message = thread[place]
            try:
                if isinstance(checked, GuardBlocked):
                    raise checked from None
                new = carry(known.show(checked.value), checked.result.fpe_context)
                if isinstance(new, AIMessage):
                    new = self._with_calls(new, thread[:place])
            except GuardBlocked as error:
                blocked, new = error, removed(message)
                self.refused([message])
            self.note([new])
            if new != message:
                changed.append(new)
        return Cleaned(changed, blocked)

    def _with_calls(self, message: AIMessage, before: Sequence[BaseMessage]) -> AIMessage:
        return message if self._gate is None else ReplyCalls(self._gate).guarded(message, before, frozenset())

    def _key(self, message: BaseMessage) -> tuple[Any, ...] | None:
        """Which message of which thread; without a thread nothing comes again."""
        thread = ensure_config().get("configurable", {}).get("thread_id")
        return None if thread is None or not self._raises else (str(thread), message.id, _digest(message))


def removed(message: BaseMessage) -> BaseMessage:
    """What stands in a refused message's place, under its id."""
    mark = message.response_metadata.get("guard")
    update: dict[str, Any] = {
        "content": _REMOVED,
        "additional_kwargs": {},
        "response_metadata": {} if mark is None else {"guard": mark},
        **NO_ARTIFACT.get(message.type, {}),
    }
    if not isinstance(message, (ToolMessage, FunctionMessage)):
        update["name"] = None
    if isinstance(message, AIMessage):
        update["tool_calls"] = [{**call, "args": {}} for call in message.tool_calls]
        update["invalid_tool_calls"] = []
    return message.model_copy(update=update)


def _digest(message: BaseMessage) -> bytes:
    """Of what was judged. Not of the id, which LangGraph gives, nor of metadata, which tokens are added to."""
    calls = (message.tool_calls, message.invalid_tool_calls) if isinstance(message, AIMessage) else ()
    said = (message.type, message.name, message.content, message.additional_kwargs, calls)
    return hashlib.blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _remember(known: dict[Any, None], key: Any) -> None:
    if len(known) >= _REMEMBERED and key not in known:
        with suppress(RuntimeError):  # another thread was at it
            known.pop(next(iter(known)), None)
    known[key] = None
