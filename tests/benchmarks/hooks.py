"""What the benchmarks of the hooks share: texts that nobody has read before, and the comparison itself.

All that is compared runs in turns in one process, on texts of one size (the classifier remembers what it has read); the
best of all rounds counts. Real models take a second, so that the added milliseconds say more than the ratios.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from time import perf_counter
from typing import Any

from conftest import rules_only

from guardrails_plugin import Engine

PAGE = 1_000
"""Characters of a question, an answer, a tool's result, a document."""
FOUND = 4
"""Documents that are retrieved or read at once."""
TOKEN = 5
"""Characters of a chunk of a stream."""
ROUNDS = {"rules": 40, "defaults": 12}

Pages = Iterator[str]
Runner = Callable[[str], Any]
Application = Callable[[Engine, Pages], dict[str, Runner]]
"""Ways to run one application by name, on a question: ``bare``, and behind each of the hooks that fit it."""

_LOOP = asyncio.new_event_loop()


def awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives; always in the same event loop, whose threads are there already."""
    return _LOOP.run_until_complete(work)


def tokens(text: str) -> list[str]:
    """A text as a model streams it."""
    return [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]


def compare(application: Application, recipes: str, text: str, say: Callable[[str], None]) -> None:
    """Say what each hook adds to an application, by rules only or with the default recipes as they are."""
    pages = _pages(text)
    runners = application(rules_only() if recipes == "rules" else Engine(), pages)
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():  # models are loaded, graphs and caches made
        assert run(next(pages))
    for turn in range(ROUNDS[recipes]):
        names = list(runners)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            question = next(pages)
            began = perf_counter()
            runners[name](question)
            seconds[name].append(perf_counter() - began)
    bare = min(seconds.pop("bare"))
    say(f"{application.__name__}, {recipes}: unguarded {bare * 1000:.2f} ms")
    for name, own in seconds.items():
        guarded = min(own)
        say(f"  {name:<34}{guarded * 1000:>9.2f} ms{guarded / bare:>8.1f}x{(guarded - bare) * 1000:>+10.2f} ms")


@cache
def _pages(text: str) -> Pages:
    """Texts of one size, none like another: every lap begins at another place. One supply for all comparisons."""
    for lap in range(PAGE):
        for at in range(lap * 37 % PAGE, len(text) - PAGE, PAGE):
            yield text[at : at + PAGE]
