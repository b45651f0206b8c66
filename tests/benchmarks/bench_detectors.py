"""Each detector alone on 20 KB of clean prose, or on one tool call; those whose extra is not installed are skipped.

Settings, context and call are those of ``docs/make_detectors.py``: without a request, a system prompt or earlier calls
to compare with, four of the detectors would be timed doing nothing.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Origin, Segment, registry
from guardrails_plugin.normalize import normalize

DOCS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_detectors.py"))
ROWS, CONTEXT = DOCS["ROWS"], DOCS["CONTEXT"]


@pytest.mark.parametrize("name", registry.names("detectors"))
def bench_detector(name: str, text: Callable[..., str], benchmark: Any, say: Callable[[str], None]) -> None:
    calls = ROWS.get(name, {}).get("calls", False)
    texts = DOCS["call"]() if calls else [normalize(Segment(text("clean", "20 KB"), Origin.MODEL))]
    try:
        detector = registry.load("detectors", name)(**ROWS.get(name, {}).get("settings", {}))
        detector.detect(texts, CONTEXT)
    except (ConfigError, ValueError) as error:
        if "extra" not in str(error):
            raise
        pytest.skip(f"{name}: its extra is not installed")
    benchmark.pedantic(detector.detect, args=(texts, CONTEXT), setup=DOCS["forget"], rounds=5)
    spent = benchmark.stats.stats.min * 1000
    say(f"{name:<20}{spent if calls else spent / 20:>10.4f} {'ms a call' if calls else 'ms/KB'}")
