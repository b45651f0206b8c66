"""Streams of model answers through a guard: text and reasoning are released as they become safe, the rest whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.llama_index.call_gate import CallGate
from guardrails_plugin.llama_index.guarding import Guarding, HeldStream
from guardrails_plugin.llama_index.tool_calls import CALLS
from guardrails_plugin.llama_index.values import guardable
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import GuardResult, Stage

__all__ = ["ChatStream", "CompletionStream", "aguarded", "chat_refusal", "completion_refusal", "declined", "guarded"]

_Chunk = TypeVar("_Chunk")

_THINKING = "thinking_delta"


def _marked(result: GuardResult) -> dict[str, Any]:
    """What a refusal says about itself, beside the message: providers would be sent what stands inside."""
    return {"guard": {"stage": result.stage.value, "verdict": result.verdict.name.lower(), "result_id": result.id}}


def chat_refusal(text: str, result: GuardResult, *, delta: str | None = None) -> ChatResponse:
    """An answer that says no more than the refusal."""
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text=text)])
    return ChatResponse(message=message, delta=text if delta is None else delta, additional_kwargs=_marked(result))


def declined(blocked: GuardBlocked, guarding: Guarding) -> GuardResult:
    """The result of a refused tool call, for a reply that refuses with it.

    Raises:
        GuardBlocked: the policy raises, or it was no call but a structured answer: no refusal has its shape.
    """
    if not guarding.refuses or blocked.result is None or blocked.stage != Stage.PRE_TOOL.value:
        raise blocked from None
    return blocked.result


def completion_refusal(text: str, result: GuardResult, *, delta: str | None = None) -> CompletionResponse:
    """A completion that says no more than the refusal."""
    return CompletionResponse(text=text, delta=text if delta is None else delta, additional_kwargs=_marked(result))


class _Channel:
    """One text of a stream: deltas or growing wholes in, what is safe out."""

    __slots__ = ("_stream", "released", "seen")

    def __init__(self, stream: StreamGuard | HeldStream) -> None:
        self._stream = stream
        self.seen = ""
        self.released = ""

    @property
    def blocked(self) -> bool:
        return self._stream.blocked

    def feed(self, delta: str | None, whole: str) -> str:
        """Take a chunk. Models that give no delta give the whole text so far."""
        if not delta and whole.startswith(self.seen):
            delta = whole[len(self.seen) :]
        if not delta:
            return ""
        self.seen += delta
        return self._add(self._stream.feed(delta))

    def finish(self) -> str:
        return self._add(self._stream.finish()) if self.seen else ""

    def result(self) -> GuardResult:
        try:
            return self._stream.result
        except RuntimeError:
            self._stream.finish()
            return self._stream.result

    def _add(self, released: str) -> str:
        if self._stream.blocked:
            return ""
        self.released += released
        return released


class ChatStream:
    """One stream of `ChatResponse`. The messages that come out are rebuilt: nothing of a chunk passes unseen.

    Tool calls that have a gate wait until they are whole, others pass as they are (the tool's guard is theirs); other
    blocks and what stands beside the message are guarded whole, with the last chunk.
    """

    def __init__(self, guarding: Guarding, gate: CallGate | None = None) -> None:
        self._guarding = guarding
        self._gate = gate if gate is not None and gate.holds else None
        self._text = _Channel(guarding.stream())
        self._thinking = _Channel(guarding.stream())
        self._last: ChatResponse | None = None
        self.ended = False

    def feed(self, chunk: ChatResponse) -> Iterator[ChatResponse]:
        """Take a chunk, yield what may go on."""
        if self.ended:
            return
        self._last = chunk
        reasoning = "".join(block.content or "" for block in chunk.message.blocks if isinstance(block, ThinkingBlock))
        thought = self._thinking.feed(chunk.additional_kwargs.get(_THINKING), reasoning)
        text = self._text.feed(chunk.delta, chunk.message.content or "")
        if self._text.blocked or self._thinking.blocked:
            yield self._refused()
        elif text or thought or (self._gate is None and _calls(chunk.message)):
            yield self._chunk(chunk.message, text, thought, [] if self._gate else _calls(chunk.message))

    def finish(self) -> Iterator[ChatResponse]:
        """The rest of the stream with the whole message, or its refusal."""
        if self.ended or self._last is None:
            return
        thought, text = self._thinking.finish(), self._text.finish()
        if self._text.blocked or self._thinking.blocked:
            yield self._refused()
            return
        for channel in (self._text, self._thinking):
            if channel.seen:
                self._guarding.keep(channel.result())
        last = self._last.message
        others = [b for b in last.blocks if not isinstance(b, (TextBlock, ThinkingBlock, ToolCallBlock))]
        extras = {key: value for key, value in self._last.additional_kwargs.items() if key != _THINKING}
        beside = [others, guardable(_without_calls(last)), guardable(extras)]
        checked = self._guarding.check(Stage.RESPONSE, beside)
        if checked.result.blocked:
            yield self._refused(checked.result)
            return
        blocks, own, extras = checked.value
        try:
            last = last if self._gate is None else self._gate.passed(last)
        except GuardBlocked as blocked:
            yield self._refused(declined(blocked, self._guarding))
            return
        chunk = self._chunk(last, text, thought, [*_calls(last), *blocks])
        chunk.message.additional_kwargs |= own | _provider_calls(last)
        chunk.additional_kwargs |= extras
        yield chunk

    def _chunk(self, message: ChatMessage, text: str, thought: str, others: list[Any]) -> ChatResponse:
        blocks: list[Any] = self._reasoning(message)
        if self._text.released or any(isinstance(block, TextBlock) for block in message.blocks):
            blocks.append(TextBlock(text=self._text.released))
        calls = _provider_calls(message) if self._gate is None else {}
        return ChatResponse(
            message=ChatMessage(role=message.role, blocks=[*blocks, *others], additional_kwargs=calls),
            delta=text,
            additional_kwargs={_THINKING: thought} if thought else {},
        )

    def _reasoning(self, message: ChatMessage) -> list[ThinkingBlock]:
        own = [block for block in message.blocks if isinstance(block, ThinkingBlock)]
        if "".join(block.content or "" for block in own) == self._thinking.released:
            # Unchanged: whole blocks keep the signatures that their provider asks for.
            return own
        return [ThinkingBlock(content=self._thinking.released)] if own else []

    def _refused(self, result: GuardResult | None = None) -> ChatResponse:
        self.ended = True
        result = result or (self._text if self._text.blocked else self._thinking).result()
        if not self._guarding.refuses:
            result.raise_for_block()
        whole, delta = _ending(self._text.released, self._guarding.refusal)
        return chat_refusal(whole, result, delta=delta)


class CompletionStream:
    """One stream of `CompletionResponse`."""

    def __init__(self, guarding: Guarding) -> None:
        self._guarding = guarding
        self._text = _Channel(guarding.stream())
        self.ended = False

    def feed(self, chunk: CompletionResponse) -> Iterator[CompletionResponse]:
        """Take a chunk, yield what may go on."""
        if self.ended:
            return
        text = self._text.feed(chunk.delta, chunk.text)
        if self._text.blocked:
            yield self._refused()
        elif text:
            yield CompletionResponse(text=self._text.released, delta=text)

    def finish(self) -> Iterator[CompletionResponse]:
        """The rest of the stream, or its refusal."""
        if self.ended:
            return
        text = self._text.finish()
        if self._text.blocked:
            yield self._refused()
            return
        if self._text.seen:
            self._guarding.keep(self._text.result())
        if text:
            yield CompletionResponse(text=self._text.released, delta=text)

    def _refused(self) -> CompletionResponse:
        self.ended = True
        result = self._text.result()
        if not self._guarding.refuses:
            result.raise_for_block()
        whole, delta = _ending(self._text.released, self._guarding.refusal)
        return completion_refusal(whole, result, delta=delta)


def _calls(message: ChatMessage) -> list[Any]:
    return [block for block in message.blocks if isinstance(block, ToolCallBlock)]


def _provider_calls(message: ChatMessage) -> dict[str, Any]:
    return {key: value for key, value in message.additional_kwargs.items() if key in CALLS}


def _without_calls(message: ChatMessage) -> dict[str, Any]:
    return {key: value for key, value in message.additional_kwargs.items() if key not in CALLS}


def _ending(released: str, refusal: str) -> tuple[str, str]:
    """The whole text and the last delta of a refused stream: what was said stays said."""
    delta = f"\n{refusal}" if released else refusal
    return released + delta, delta


class _Stream(Protocol[_Chunk]):
    """A guard for one stream of answers."""

    ended: bool

    def feed(self, chunk: _Chunk) -> Iterator[_Chunk]: ...
    def finish(self) -> Iterator[_Chunk]: ...


def guarded(chunks: Iterable[_Chunk], guard: _Stream[_Chunk]) -> Generator[_Chunk, None, None]:
    """A stream through its guard; the model's own is closed with it."""
    try:
        for chunk in chunks:
            yield from guard.feed(chunk)
            if guard.ended:
                return
        yield from guard.finish()
    finally:
        _closed(chunks, "close")


async def aguarded(chunks: AsyncIterator[_Chunk], guard: _Stream[_Chunk]) -> AsyncGenerator[_Chunk, None]:
    """`guarded` for async streams; the scan of a chunk takes microseconds, the finish runs on a thread."""
    try:
        async for chunk in chunks:
            for released in guard.feed(chunk):
                yield released
            if guard.ended:
                return
        for released in await asyncio.to_thread(list, guard.finish()):
            yield released
    finally:
        closing = _closed(chunks, "aclose")
        if closing is not None:
            await closing


def _closed(chunks: object, name: str) -> Any:
    close: Callable[[], Any] | None = getattr(chunks, name, None)
    return close() if close is not None else None
