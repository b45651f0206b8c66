"""The texts of one stream, each behind a hold-back window of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import GuardResult

__all__ = ["RefusedError", "Windows"]


class RefusedError(Exception):
    """The stream is refused.

    Attributes:
        blocked: why, if it is known already.
    """

    def __init__(self, blocked: GuardBlocked | None = None) -> None:
        super().__init__("the stream is refused")
        self.blocked = blocked


class Windows:
    """Makes windows, and keeps the results of those that are finished.

    Args:
        new: makes a window.
        told: is told every result.
    """

    def __init__(self, new: Callable[[], StreamGuard], told: Callable[[Sequence[GuardResult]], None]) -> None:
        self._new = new
        self._told = told
        self._open: list[StreamGuard] = []
        self.results: list[GuardResult] = []

    def open(self) -> StreamGuard:
        """A window for one more text."""
        made = self._new()
        self._open.append(made)
        return made

    def feed(self, window: StreamGuard, text: str) -> str:
        """What is released by a piece of a text.

        Raises:
            RefusedError: the text is refused.
        """
        released = window.feed(text)
        if window.blocked:
            raise RefusedError
        return released

    def finish(self, window: StreamGuard) -> str:
        """The rest of a text.

        Raises:
            RefusedError: the text is refused.
        """
        self._open.remove(window)
        released = window.finish()
        self.results.append(window.result)
        self._told([window.result])
        if window.blocked:
            raise RefusedError
        return released

    def conclude(self) -> None:
        """The end of a refused stream: what came of its texts is written down and told, too."""
        for window in list(self._open):
            try:
                self.finish(window)
            except RefusedError:
                continue
