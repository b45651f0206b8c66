"""What the classifier adds; streams cost the same per chunk however long they get; importing costs little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from guardrails_plugin import Engine

CHUNK = 20
"""Characters a chunk, about five tokens."""


def bench_classifier(text: Callable[..., str], say: Callable[[str], None]) -> None:
    """The default response recipe with its classifier; every text is new to it, since it remembers what it has read."""
    engine = Engine()
    whole = text("clean", "1 MB")
    for name, size in (("1 KB", 1_000), ("20 KB", 20_000)):
        texts = [whole[at : at + size] for at in range(0, 6 * size, size)]
        best = min(engine.check(content, stage="response").seconds for content in texts)
        say(f"default response recipe with classifier: {best * 1000:.0f} ms for {name}")


def bench_stream_is_linear(text: Callable[[str, str], str], say: Callable[[str], None]) -> None:
    """Ten times the text takes at most 1.5 times as long per chunk."""
    engine = Engine()
    whole = text("dense", "1 MB")
    short, long = (min(_per_chunk(engine, whole[:size]) for _ in range(3)) for size in (10_000, 100_000))
    say(
        f"stream, {CHUNK} characters a chunk: {short * 1e6:.0f} us each over 10 KB, {long * 1e6:.0f} us over 100 KB: "
        f"{long / short:.2f}x (goal: at most 1.5x)"
    )

    assert long <= 1.5 * short


def _per_chunk(engine: Engine, text: str) -> float:
    chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    stream = engine.stream(stage="response", overrides={"prompt_injection": {"disabled": True}})
    began = perf_counter()
    for chunk in chunks:
        stream.feed(chunk)
    stream.finish()
    return (perf_counter() - began) / len(chunks)


def bench_import(say: Callable[[str], None]) -> None:
    """Importing the package against importing what it is compared with."""
    modules = ["pydantic", "numpy", "guardrails_plugin", "langchain.agents", "presidio_analyzer"]
    best = {
        module: min(_import_seconds(module) for _ in range(5 if number < 3 else 2))
        for number, module in enumerate(modules)
    }
    mine = best["guardrails_plugin"]
    others = ", ".join(
        f"{name} {seconds:.2f} s ({seconds / mine:.1f}x)"
        for name, seconds in best.items()
        if name != "guardrails_plugin"
    )
    say(f"import guardrails_plugin {mine:.2f} s; {others}")


def _import_seconds(module: str) -> float:
    code = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
