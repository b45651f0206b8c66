"""Streams of LangChain chunks through a guard: text is released as it becomes safe, everything else whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessageChunk

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.blocks import Blocks, joined
from guardrails_plugin.langchain.metadata import quotes
from guardrails_plugin.langchain.windows import RefusedError, Windows
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import GuardResult, Stage

__all__ = ["ChunkGuard"]

_THOUGHT = "reasoning_content"
"""Where in ``additional_kwargs`` integrations of DeepSeek, xAI, Qwen and others stream what a model thinks."""

_NOTHING_ELSE: dict[str, Any] = {
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

    Strings, the text of message chunks and of their content blocks, and what a model thinks, go through a hold-back
    window each. What other content blocks hold is guarded at their end. Other values (dicts, documents), and other
    things beside a text, are added up and guarded whole at the end. Message chunks without text pass at once; at the
    response stage tool-call chunks do too, since the pre_tool guard is theirs.

    Args:
        stream: makes a hold-back window.
        whole: guards a value that does not stream; returns a `GuardBlocked` when it is refused.
        stage: where the stream is guarded.
        refusal: what ends a refused stream; None raises.
        told: is told the result of every text that was streamed.
    """

    def __init__(
        self,
        stream: Callable[[], StreamGuard],
        whole: Callable[[Any], Any],
        stage: Stage,
        refusal: str | None,
        *,
        told: Callable[[Sequence[GuardResult]], None] | None = None,
    ) -> None:
        self._windows = Windows(stream, told or (lambda _: None))
        self._whole = whole
        self._stage = stage
        self._refusal = refusal
        self._text: StreamGuard | None = None
        """The window of strings, and of messages that are no lists of blocks."""
        self._thought: StreamGuard | None = None
        self._blocks: Blocks | None = None
        self._last: AIMessageChunk | None = None
        self._rest: Any = None
        self._ended = False

    @property
    def results(self) -> tuple[GuardResult, ...]:
        """The results of the texts that were streamed, as far as they are known."""
        return tuple(self._windows.results)

    @property
    def refused(self) -> bool:
        """True once the stream's refusal was given; nothing comes after it."""
        return self._ended

    def feed(self, chunk: Any) -> Iterator[Any]:
        """Take a chunk, yield what may go on."""
        yield from self._or_refusal(self._fed, chunk)

    def finish(self) -> Iterator[Any]:
        """The rest of the stream, or its refusal."""
        yield from self._or_refusal(self._finished)

    def _or_refusal(self, step: Callable[..., Iterator[Any]], *given: Any) -> Iterator[Any]:
        if self._ended:
            return
        try:
            yield from step(*given)
        except RefusedError as error:
            self._ended = True
            self._windows.conclude()
            if self._refusal is None:
                self._raise(error)
            yield self._saying(self._refusal if self._blocks is None else [{"type": "text", "text": self._refusal}])

    def _raise(self, error: RefusedError) -> None:
        if error.blocked is not None:
            raise error.blocked from None
        for result in self.results:
            result.raise_for_block()

    def _fed(self, chunk: Any) -> Iterator[Any]:
        if isinstance(chunk, AIMessageChunk):
            self._last = chunk
            yield from self._message(chunk)
        elif not isinstance(chunk, str):
            self._wait(chunk)
        elif released := self._through(chunk):
            yield released

    def _message(self, chunk: AIMessageChunk) -> Iterator[AIMessageChunk]:
        content, thought = chunk.content, chunk.additional_kwargs.get(_THOUGHT)
        if content and not thought:
            yield from self._thought_end()
        if isinstance(content, list):
            yield from self._switch(self._text_end())
            self._blocks = self._blocks or Blocks(self._windows, self._whole_blocks)
            said: Any = _merged(self._blocks.feed(content))
        else:
            if content and self._blocks is not None:
                yield from self._switch(_merged(self._blocks.finish()))
            said = self._through(content)
        thinking = self._thinking(thought) if isinstance(thought, str) else {}
        beside = {
            name: value
            for name, value in chunk.additional_kwargs.items()
            if name != _THOUGHT or not isinstance(value, str)
        }
        update = {"content": said or self._nothing, "additional_kwargs": {**beside, **thinking}}
        if self._must_wait(chunk, beside):
            self._wait(chunk.model_copy(update={"content": self._nothing, "additional_kwargs": beside}))
            if said or thinking:
                yield chunk.model_copy(update={**_NOTHING_ELSE, **update, "additional_kwargs": thinking})
        elif said or thinking or not (content or thought) or _brings(chunk, beside):
            yield chunk.model_copy(update=update)

    def _thinking(self, thought: str) -> dict[str, str]:
        if not thought:
            return {_THOUGHT: thought}
        self._thought = self._thought or self._windows.open()
        released = self._windows.feed(self._thought, thought)
        return {_THOUGHT: released} if released else {}

    def _must_wait(self, chunk: AIMessageChunk, beside: Mapping[str, Any]) -> bool:
        """Whether there is something in it, beside what streams, that must be guarded whole."""
        own = self._stage is Stage.RESPONSE
        unseen = beside.keys() - ({"tool_calls"} if own else set())
        return bool(unseen) or (bool(chunk.tool_call_chunks) and not own) or quotes(chunk.response_metadata)

    def _finished(self) -> Iterator[Any]:
        yield from self._thought_end()
        yield from self._switch(self._text_end())
        if self._blocks is not None:
            yield from self._switch(_merged(self._blocks.finish()))
        if self._rest is not None:
            value = self._whole(self._rest)
            if isinstance(value, GuardBlocked):
                raise value from None
            yield value

    def _through(self, text: str) -> str:
        if not text:
            return ""
        self._text = self._text or self._windows.open()
        return self._windows.feed(self._text, text)

    def _thought_end(self) -> Iterator[Any]:
        """A model that has begun to speak has thought: what it thinks later is another text."""
        window, self._thought = self._thought, None
        if window is not None and (released := self._windows.finish(window)):
            yield self._saying(self._nothing, **{_THOUGHT: released})

    def _text_end(self) -> str:
        window, self._text = self._text, None
        return self._windows.finish(window) if window is not None else ""

    def _switch(self, said: Any) -> Iterator[Any]:
        """The end of a text or block that another follows."""
        if said:
            yield self._saying(said)

    def _saying(self, content: Any, **extras: Any) -> Any:
        if self._last is None:
            return content
        return AIMessageChunk(content=content, id=self._last.id, additional_kwargs=extras)

    @property
    def _nothing(self) -> Any:
        """No content. Among blocks an empty string would be one of them when chunks are added up."""
        return [] if self._blocks is not None else ""

    def _whole_blocks(self, blocks: list[Any]) -> list[Any]:
        value = self._whole(AIMessageChunk(content=blocks))
        if isinstance(value, GuardBlocked):
            raise RefusedError(value)
        if "guard" in value.response_metadata:
            # The refusal, which is given in the shape of the stream.
            raise RefusedError
        return list(value.content)

    def _wait(self, value: Any) -> None:
        self._rest = value if self._rest is None else add(self._rest, value)


def add(first: Any, second: Any) -> Any:
    """The sum of two chunks; the later one where they do not add up (parsers stream ever more complete objects)."""
    try:
        return first + second
    except TypeError:
        return second


def _brings(chunk: AIMessageChunk, beside: Mapping[str, Any]) -> bool:
    """Whether a chunk brings anything that passes beside its text."""
    return bool(
        beside or chunk.tool_call_chunks or chunk.response_metadata or chunk.usage_metadata or chunk.chunk_position
    )


def _merged(blocks: Iterator[Any]) -> list[Any]:
    """Pieces of blocks as a chunk holds them: those of one block are one."""
    pieces = list(blocks)
    return joined([], pieces) if len(pieces) > 1 else pieces
