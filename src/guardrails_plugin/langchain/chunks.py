"""Streams of LangChain chunks through a guard: text is released as it becomes safe, everything else whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessageChunk

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.metadata import quotes
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import GuardResult, Stage

__all__ = ["ChunkGuard"]


_NOTHING_ELSE: dict[str, Any] = {
    "additional_kwargs": {},
    "tool_calls": [],
    "invalid_tool_calls": [],
    "tool_call_chunks": [],
    "usage_metadata": None,
    "response_metadata": {},
    "chunk_position": None,
}
"""What a chunk that brings nothing but text has."""


class ChunkGuard:
    """One stream of chunks of any type.

    Strings and the text of message chunks go through the hold-back window. Other values (dicts, documents, messages
    with content blocks) are added up and guarded whole at the end. Message chunks without text pass at once; at the
    response stage tool-call chunks do too, since the pre_tool guard is theirs.

    Args:
        stream: the hold-back window.
        whole: guards a value that does not stream; returns a `GuardBlocked` when it is refused.
        stage: where the stream is guarded.
        refusal: what ends a refused stream; None raises.
        told: is told the result of the text that was streamed.
    """

    def __init__(
        self,
        stream: StreamGuard,
        whole: Callable[[Any], Any],
        stage: Stage,
        refusal: str | None,
        *,
        told: Callable[[Sequence[GuardResult]], None] | None = None,
    ) -> None:
        self._stream = stream
        self._whole = whole
        self._stage = stage
        self._refusal = refusal
        self._told: Callable[[Sequence[GuardResult]], None] = told or (lambda _: None)
        self._last: str | AIMessageChunk | None = None
        self._rest: Any = None
        self._ended = False

    @property
    def results(self) -> tuple[GuardResult, ...]:
        """The result of the text that was streamed, once it is known."""
        try:
            return (self._stream.result,)
        except RuntimeError:
            return ()

    @property
    def refused(self) -> bool:
        """True once the stream's refusal was given; nothing comes after it."""
        return self._ended

    def feed(self, chunk: Any) -> Iterator[Any]:
        """Take a chunk, yield what may go on."""
        if self._ended:
            return
        text = self._text(chunk)
        if text is None and isinstance(chunk, AIMessageChunk) and chunk.content and isinstance(chunk.content, str):
            # Its text keeps its place among the others; only what must be guarded whole waits.
            yield from self.feed(chunk.model_copy(update=_NOTHING_ELSE))
            chunk = chunk.model_copy(update={"content": ""})
        if text is None:
            self._rest = chunk if self._rest is None else add(self._rest, chunk)
        elif not text:
            yield chunk
        else:
            self._last = chunk
            released = self._stream.feed(text)
            if self._stream.blocked:
                yield from self._refuse()
            elif released:
                yield _with_text(chunk, released)

    def finish(self) -> Iterator[Any]:
        """The rest of the stream, or its refusal."""
        if self._ended:
            return
        if self._last is not None:
            released = self._stream.finish()
            self._told(self.results)
            if self._stream.blocked:
                yield from self._refuse()
                return
            if released:
                yield _with_text(self._last, released, bare=True)
        if self._rest is not None:
            value = self._whole(self._rest)
            if isinstance(value, GuardBlocked):
                raise value from None
            yield value

    def _text(self, chunk: Any) -> str | None:
        """The text to stream; "" for a chunk that may pass as it is; None for what must be guarded whole."""
        if isinstance(chunk, str):
            return chunk
        if not isinstance(chunk, AIMessageChunk) or not isinstance(chunk.content, str):
            return None
        own = self._stage is Stage.RESPONSE
        if (chunk.tool_call_chunks and not own) or chunk.additional_kwargs.keys() - ({"tool_calls"} if own else set()):
            return None
        return None if quotes(chunk.response_metadata) else chunk.content

    def _refuse(self) -> Iterator[Any]:
        self._ended = True
        result = self._conclude()
        if self._refusal is None:
            result.raise_for_block()
        yield _with_text(self._last if self._last is not None else "", self._refusal or "", bare=True)

    def _conclude(self) -> GuardResult:
        """The result of a refused stream, which is written down and told even when it was refused halfway."""
        if not self.results:
            self._stream.finish()
            self._told(self.results)
        return self._stream.result


def add(first: Any, second: Any) -> Any:
    """The sum of two chunks; the later one where they do not add up (parsers stream ever more complete objects)."""
    try:
        return first + second
    except TypeError:
        return second


def _with_text(chunk: str | AIMessageChunk, text: str, *, bare: bool = False) -> str | AIMessageChunk:
    """The chunk saying ``text``; ``bare`` leaves out what the chunk itself has already brought."""
    if isinstance(chunk, str):
        return text
    if bare:
        return AIMessageChunk(content=text, id=chunk.id)
    return chunk.model_copy(update={"content": text})
