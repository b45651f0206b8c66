"""`Watch`: takes what one mode shows and keeps the leaks in it, nothing else."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from guardrails_plugin.testing.report import Leak
from guardrails_plugin.testing.search import places

__all__ = ["Watch"]


class Watch:
    """What is seen of one mode. Handlers may call it from several threads.

    Args:
        mode: its name.
        canaries: what to look for, by label.
    """

    def __init__(self, mode: str, canaries: Mapping[str, str]) -> None:
        self.mode = mode
        self._canaries = canaries
        self._leaks: set[Leak] = set()
        self._texts: dict[tuple[str, Any], list[str]] = defaultdict(list)

    def see(self, place: str, value: Any) -> None:
        """Look at a value now: it may be changed later."""
        for label, path in places(value, self._canaries):
            self._leaks.add(Leak(label, f"{place}{path}", self.mode))

    def piece(self, place: str, key: Any, chunk: Any) -> None:
        """Remember the text of a chunk, to look at the whole: a canary may be spread over chunks."""
        text = _text(chunk)
        if text:
            self._texts[place, key].append(text)

    def leaks(self) -> set[Leak]:
        """All leaks, those across chunks included."""
        for (place, _), pieces in list(self._texts.items()):
            self.see(f"{place} joined", "".join(pieces))
        return self._leaks

    @contextmanager
    def logs(self) -> Iterator[None]:
        """Look at what is logged meanwhile, by whom ever."""
        handler = _Records(self)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)


class _Records(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.see(f"log {record.name}", self.format(record))


def _text(chunk: Any) -> str:
    """The text that a chunk adds: of a string, message chunk, (message, metadata) pair or LlamaIndex answer."""
    if isinstance(chunk, tuple) and chunk:
        chunk = chunk[0]
    for name in ("delta", "content"):
        chunk = getattr(chunk, name, chunk)
    return chunk if isinstance(chunk, str) else ""
