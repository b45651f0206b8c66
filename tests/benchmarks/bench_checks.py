"""The whole default recipe against LangChain's three regular expressions and against Presidio, on the same texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import ROUNDS, SIZES

PRESIDIO_LIMIT = "20 KB"
"""A kilobyte takes Presidio 0.1 to 0.3 s, a megabyte minutes, and spaCy refuses more than a million characters."""

CASES = [(kind, size) for kind in ("clean", "dense") for size in SIZES]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
@pytest.mark.parametrize("tool", ["guard", "middleware", "presidio"])
def bench_check(
    tool: str, case: tuple[str, str], text: Callable[..., str], benchmark: Any, request: pytest.FixtureRequest
) -> None:
    kind, size = case
    if tool == "presidio" and SIZES[size] > SIZES[PRESIDIO_LIMIT]:
        pytest.skip(f"Presidio is measured up to {PRESIDIO_LIMIT}: a megabyte takes it minutes")
    run = request.getfixturevalue(tool)
    content = text(kind, size)
    found = run(content)
    if tool != "presidio":
        assert (found == content) is (kind == "clean")
    benchmark.group = f"{kind} {size}"
    benchmark.extra_info["tool"] = tool
    benchmark.pedantic(run, args=(content,), rounds=3 if tool == "presidio" else ROUNDS[size])
