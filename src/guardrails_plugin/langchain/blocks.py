"""Content blocks of a streamed message: their text is released as it becomes safe, what else they hold at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from langchain_core.messages import AIMessageChunk

from guardrails_plugin.langchain.windows import Windows
from guardrails_plugin.stream import StreamGuard

__all__ = ["Blocks", "joined"]

_TEXTS = {"text": "text", "thinking": "thinking", "reasoning": "reasoning"}
"""Which field of a block is a text that streams, by the block's type: of LangChain's own, Anthropic's and Google's."""

_Whole = Callable[[list[Any]], list[Any]]


class Blocks:
    """The blocks of one message, in their order. One that another was begun after is not gone on with.

    Args:
        windows: for their texts.
        whole: guards a list of blocks.
    """

    def __init__(self, windows: Windows, whole: _Whole) -> None:
        self._windows = windows
        self._whole = whole
        self._block: _Block | None = None

    def feed(self, content: list[Any]) -> Iterator[Any]:
        """Take the blocks of a chunk, yield pieces of blocks."""
        for place, block in enumerate(content):
            if self._block is None or not self._block.goes_on(block, first=place == 0):
                yield from self.finish()
                self._block = _Block(block, self._windows, self._whole)
            yield from self._block.feed(block)

    def finish(self) -> Iterator[Any]:
        """The rest of the last block."""
        block, self._block = self._block, None
        if block is not None:
            yield from block.finish()


class _Block:
    """One block; also a bare string among them."""

    def __init__(self, first: Any, windows: Windows, whole: _Whole) -> None:
        self._windows = windows
        self._whole = whole
        frame = first if isinstance(first, dict) else {}
        self._bare = isinstance(first, str)
        self._frame = {name: frame[name] for name in ("type", "index") if name in frame}
        self._name = _TEXTS.get(str(frame.get("type")), "")
        self._id = frame.get("id")
        self._window: StreamGuard | None = None
        self._rest: list[Any] = []
        self._texts = 0
        self._given = False

    def goes_on(self, block: Any, *, first: bool) -> bool:
        """Whether this is one more piece of the same block, as LangChain adds them up.

        Blocks without an index are never added up, but those that begin a chunk are pieces of one text all the same.
        """
        if isinstance(block, str) or self._bare:
            return isinstance(block, str) and self._bare and first
        if not isinstance(block, dict):
            return False
        index = self._frame.get("index")
        if index is not None or block.get("index") is not None:
            same = not self._id or not block.get("id") or self._id == block["id"]
            return bool(index == block.get("index") and same)
        plain = block.keys() == {"type", self._name} and not self._rest
        return first and plain and block["type"] == self._frame.get("type")

    def feed(self, block: Any) -> Iterator[Any]:
        """Take a piece, yield what may go on."""
        text = block if self._bare else block.get(self._name) if isinstance(block, dict) else None
        if not self._bare:
            own = {self._name} if isinstance(text, str) else set()
            rest = block if not isinstance(block, dict) else {k: v for k, v in block.items() if k not in own}
            if not isinstance(rest, dict) or rest.keys() - {"type", "index"}:
                self._rest = joined(self._rest, [rest])
        if not isinstance(text, str):
            return
        self._texts += 1
        if text:
            self._window = self._window or self._windows.open()
            if released := self._windows.feed(self._window, text):
                self._given = True
                yield self._saying(released)

    def finish(self) -> Iterator[Any]:
        """The rest of its text, and what else it holds."""
        tail = self._windows.finish(self._window) if self._window is not None else ""
        owed = bool(tail) or not self._given
        if self._bare:
            yield from [tail] if owed else []
            return
        whole = self._whole(self._rest) if self._rest else [self._frame] if owed else []
        if owed and self._texts:
            whole = [{**whole[0], **self._saying(tail)}, *whole[1:]]
        yield from whole

    def _saying(self, text: str) -> Any:
        return text if self._bare else {**self._frame, self._name: text}


def joined(first: list[Any], second: list[Any]) -> list[Any]:
    """Two lists of blocks as LangChain adds them up."""
    merged: Any = (AIMessageChunk(content=first) + AIMessageChunk(content=second)).content
    return list(merged)
