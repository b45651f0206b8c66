"""Each detector alone on 20 KB of clean prose; those whose extra is not installed here are skipped by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Origin, Segment, registry
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROWS = tomllib.loads((Path(__file__).parents[2] / "docs" / "quality.toml").read_text("utf-8"))
"""Settings of detectors that do nothing without."""


@pytest.mark.parametrize("name", registry.names("detectors"))
def bench_detector(name: str, text: Callable[..., str], benchmark: Any, say: Callable[[str], None]) -> None:
    content = normalize(Segment(text("clean", "20 KB"), Origin.EXTERNAL))
    try:
        detector = registry.load("detectors", name)(**ROWS.get(name, {}).get("settings", {}))
        detector.detect([content], NO_CONTEXT)
    except (ConfigError, ValueError) as error:
        if "extra" not in str(error):
            raise
        pytest.skip(f"{name}: its extra is not installed")
    benchmark.pedantic(detector.detect, args=([content], NO_CONTEXT), rounds=5)
    say(f"{name:<20}{benchmark.stats.stats.min * 1000 / 20:>10.4f} ms/KB")
