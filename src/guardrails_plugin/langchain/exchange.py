"""One call of a chat model: the prompt guarded on its way in, the reply on its way out, whole or as a stream."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers import context as tracing
from langchain_core.utils.utils import LC_ID_PREFIX

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.check import StageCheck
from guardrails_plugin.langchain.chunks import ChunkGuard, add
from guardrails_plugin.langchain.encrypted import Encrypted, carry, tokens
from guardrails_plugin.langchain.reply_calls import RAW_CALLS, ReplyCalls, is_call_block
from guardrails_plugin.langchain.tool_gate import provenance
from guardrails_plugin.types import NO_CONTEXT, Context, Origin

__all__ = ["Exchange", "Record", "hidden", "refusal_message"]


_Piece = TypeVar("_Piece", bound=AIMessage)


@dataclass(slots=True)
class Record:
    """What has been behind its guards in the exchanges of one model call.

    Attributes:
        sent: the messages as they were guarded; the same are not checked again.
        given: the pieces of every reply as it was released.
    """

    sent: list[BaseMessage] = field(default_factory=list, repr=False)
    given: list[list[AIMessage]] = field(default_factory=list, repr=False)

    def holds(self, message: Any) -> bool:
        """Whether a message says what a reply said; how its pieces were put together does not matter."""
        if not isinstance(message, AIMessage):
            return False
        return any(_said(reduce(add, pieces)) == _said(message) for pieces in self.given if pieces)


class Exchange:
    """One prompt and its reply. Not for use twice.

    Args:
        prompt: the prompt's check; None for none.
        response: the reply's.
        answer_tools: names of tool calls whose arguments are part of the reply.
        refusal: what answers in place of a refused reply; None raises.

    Attributes:
        record: keeps what went through, if anybody asks for it.
        calls: what the reply's tool calls pass through; None leaves them to whoever runs tools.
    """

    record: Record | None = None
    calls: ReplyCalls | None = None

    def __init__(
        self,
        prompt: StageCheck | None,
        response: StageCheck | None,
        *,
        answer_tools: frozenset[str] = frozenset(),
        refusal: str | None = None,
    ) -> None:
        self._prompt = prompt
        self._response = response
        self._names = answer_tools
        self._refusal = refusal
        self._token: str | None = None
        self._context = NO_CONTEXT
        self._encrypted: Encrypted | None = None
        self._stream: ChunkGuard | None = None
        self._pieces: list[AIMessage] = []
        self._sent: list[BaseMessage] = []
        self._held: AIMessageChunk | None = None
        """Tool calls of a stream, or all of it: what goes on only at the end."""

    @property
    def token(self) -> str | None:
        """What turns the values back that were encrypted in the prompt."""
        return self._token

    def enter(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        """The messages to send. Artifacts stay here: they are for the application, not for the model."""
        sent: list[BaseMessage] = [_without_artifact(message) for message in messages]
        known = tokens(messages)
        if self.record is not None:
            self.record.given.append(self._pieces)
        if self._prompt is not None and (self.record is None or sent != self.record.sent):
            before = Encrypted(self._prompt.engine, known, self._prompt.tenant)
            checked = self._prompt(before.hide(sent))
            sent = before.show(checked.value)
            self._token = checked.result.fpe_context
        if self._response is not None:
            known = [*known, self._token] if self._token else known
            self._encrypted = Encrypted(self._response.engine, known, self._response.tenant)
            # What the model was told must not come out again.
            self._context = Context(system=provenance(sent).system)
        self._sent = [*sent[:-1], carry(sent[-1], self._token)] if sent else sent
        return sent

    def leave(self, reply: AIMessage) -> AIMessage:
        """The guarded reply.

        Raises:
            GuardBlocked: it was refused.
        """
        return self._noted(self._left(reply))

    def feed(self, message: AIMessage) -> Iterator[AIMessageChunk]:
        """Take a chunk of the reply, yield what may go on. Tool calls wait until the text is known to be fine."""
        yield from map(self._noted, self._fed(message))

    def finish(self) -> Iterator[AIMessageChunk]:
        """The rest of the reply, or its refusal."""
        yield from map(self._noted, self._finished())

    def refuse(self, blocked: GuardBlocked) -> AIMessageChunk:
        """The refusal as a reply.

        Raises:
            GuardBlocked: there is no refusal to give.
        """
        if self._refusal is None:
            raise blocked from None
        return self._noted(_chunk(refusal_message(self._refusal, blocked)))

    def _noted(self, piece: _Piece) -> _Piece:
        if self.record is not None:
            # A copy: other middleware may change the message itself.
            self._pieces.append(piece.model_copy(deep=True))
        return piece

    def _left(self, reply: AIMessage) -> AIMessage:
        reply = reply.model_copy(update={"id": _own_id(reply)})
        if self._response is None or self._encrypted is None:
            return carry(self._gated(reply), self._token)
        checked = self._response(self._encrypted.hide(reply), self._context)
        message: AIMessage = self._encrypted.show(self._answered(checked.value))
        return carry(self._gated(message), self._token)

    def _gated(self, message: AIMessage) -> AIMessage:
        return message if self.calls is None else self.calls.guarded(message, self._sent, self._names)

    def _fed(self, message: AIMessage) -> Iterator[AIMessageChunk]:
        chunk = _chunk(message)
        if self._response is None and self.calls is None:
            yield chunk
        elif self._encrypted:
            self._hold(chunk)
        else:
            chunk = self._without_calls(chunk)
            if self._response is None:
                yield chunk
                return
            if self._stream is None:
                self._stream = self._response.chunks(self._refusal, self._context)
            yield from self._stream.feed(chunk)

    def _finished(self) -> Iterator[AIMessageChunk]:
        if self._encrypted:
            if self._held is not None:
                yield _chunk(self._left(self._held))
            return
        if self._stream is not None:
            yield from self._stream.finish()
        token = self._token
        if self._held is not None and not (self._stream is not None and self._stream.refused):
            yield carry(_chunk(self._gated(self._answered(self._whole(self._held)))), token)
            token = None
        if token is not None:
            yield carry(AIMessageChunk(content=""), token)

    def _whole(self, held: AIMessageChunk) -> AIMessageChunk:
        """What was held back of a stream, with the blocks in it guarded as part of the reply."""
        if not isinstance(held.content, list):
            return held
        blocks = held.model_copy(update={"content": [block for block in held.content if block != ""]})
        guarded: AIMessageChunk = blocks if self._response is None else self._response(blocks, self._context).value
        return guarded

    def _hold(self, chunk: AIMessageChunk) -> None:
        self._held = add(self._held, chunk) if self._held is not None else chunk

    def _answered(self, message: AIMessage) -> AIMessage:
        """The message with the arguments guarded of those tool calls that are answers."""
        if self._response is None or not any(call["name"] in self._names for call in _all_calls(message)):
            return message
        check = self._response

        def guarded(call: Any) -> Any:
            own = call["name"] in self._names
            return {**call, "args": check(call["args"], self._context, origin=Origin.MODEL).value} if own else call

        calls = [guarded(call) for call in message.tool_calls]
        update: dict[str, Any] = {
            "tool_calls": calls,
            "invalid_tool_calls": [guarded(call) for call in message.invalid_tool_calls],
            "additional_kwargs": {k: v for k, v in message.additional_kwargs.items() if k not in RAW_CALLS},
        }
        if isinstance(message, AIMessageChunk):
            update["tool_call_chunks"] = [
                {"type": "tool_call_chunk", "name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": i}
                for i, c in enumerate(calls)
            ]
        return message.model_copy(update=update)

    def _without_calls(self, chunk: AIMessageChunk) -> AIMessageChunk:
        """The chunk with its tool calls held back."""
        raw = {key: value for key, value in chunk.additional_kwargs.items() if key in RAW_CALLS}
        own = raw if self.calls is not None else {}
        blocks = list(filter(is_call_block, chunk.content)) if self.calls is not None else []
        if not (chunk.tool_call_chunks or own or blocks):
            return chunk
        calls: dict[str, Any] = {"tool_call_chunks": chunk.tool_call_chunks, "additional_kwargs": own}
        self._hold(AIMessageChunk(content=blocks or "", id=chunk.id, **calls))
        dropped = raw if self._names or own else {}
        update: dict[str, Any] = {"tool_call_chunks": [], "tool_calls": [], "invalid_tool_calls": []}
        update["additional_kwargs"] = {k: v for k, v in chunk.additional_kwargs.items() if k not in dropped}
        if blocks:
            update["content"] = [block for block in chunk.content if not is_call_block(block)]
        return chunk.model_copy(update=update)


def refusal_message(refusal: str, blocked: GuardBlocked) -> AIMessage:
    """A refusal as a model would give it, with the result's id."""
    mark = {"stage": blocked.stage, "verdict": "block", "result_id": blocked.result_id}
    return AIMessage(content=refusal, response_metadata={"guard": mark})


@contextmanager
def hidden() -> Generator[None]:
    """Runs begun in here are seen by no tracer and no handler of the surroundings.

    An explicit empty list of callbacks is not enough: LangSmith's tracer and handlers such as the usage counter's
    are taken from context variables and the environment.
    """
    # Deferred: langchain_core itself does so, for the 130 ms.
    from langsmith.run_helpers import tracing_context

    hooks: list[Any] = [hook[0] for hook in tracing._configure_hooks]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    # A binding's own config would take the handlers of the surroundings from the current one.
    config: Any = {**(var_child_runnable_config.get() or {}), "callbacks": None}
    variables: list[tuple[Any, Any]] = [(variable, None) for variable in (*hooks, tracing.tracing_v2_callback_var)]
    variables.append((var_child_runnable_config, config))
    changed = [(variable, variable.set(value)) for variable, value in variables]
    try:
        with tracing_context(enabled=False, parent=False):
            yield
    finally:
        for variable, before in reversed(changed):
            variable.reset(before)


def _said(message: AIMessage) -> tuple[Any, ...]:
    return message.content, message.additional_kwargs, message.tool_calls, message.invalid_tool_calls


def _all_calls(message: AIMessage) -> list[Any]:
    return [*message.tool_calls, *message.invalid_tool_calls]


def _without_artifact(message: BaseMessage) -> BaseMessage:
    kept = not isinstance(message, ToolMessage) or message.artifact is None
    return message if kept else message.model_copy(update={"artifact": None})


def _chunk(message: AIMessage) -> AIMessageChunk:
    """The message as a chunk that is nobody's last, without the log probabilities that would spell its text."""
    metadata = {key: value for key, value in message.response_metadata.items() if key != "logprobs"}
    update: dict[str, Any] = {"response_metadata": metadata, "id": _own_id(message)}
    if isinstance(message, AIMessageChunk):
        return message.model_copy(update={**update, "chunk_position": None})
    fields = {name: getattr(message, name) for name in type(message).model_fields if name != "type"}
    return AIMessageChunk(**{**fields, **update})


def _own_id(message: AIMessage) -> str | None:
    """The id that a provider gave; one made from the inner run's would differ from chunk to chunk of the outer's."""
    return None if (message.id or "").startswith(LC_ID_PREFIX) else message.id
