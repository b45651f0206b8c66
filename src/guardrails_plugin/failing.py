"""What can be said of an exception without its words: where it came from, and which others a traceback shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb

__all__ = ["chained", "place_of"]


def place_of(error: BaseException) -> str:
    """The innermost place outside this library, as ``"detectors.py:14 in found"``; "" when it failed within.

    Code of one's own goes before that of installed packages, which only raise what it made them.
    """
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in walk_tb(error.__traceback__)
        if not str(frame.f_globals.get("__name__")).startswith("guardrails_plugin.")
    ]
    own = [frame for frame in frames if not frame[0].startswith(_installed())] or frames
    if not own:
        return ""
    file, line, function = own[-1]
    return f"{Path(file).name}:{line} in {function}"


def chained(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that a traceback shows before it; each once, for chains may be rings."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _installed() -> tuple[str, ...]:
    # Deferred: for failures only.
    from sysconfig import get_paths

    paths = get_paths()
    return tuple(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
