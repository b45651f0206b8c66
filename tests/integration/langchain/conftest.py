"""What the suites of langchain-tests expect of the pytest plugins that pyproject.toml switches off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """The marks of its suites: recordings of HTTP traffic and benchmarks, neither of which our fakes need."""
    for mark in ("vcr", "benchmark"):
        config.addinivalue_line("markers", f"{mark}: of langchain-tests")


@pytest.fixture
def benchmark() -> Callable[..., Any]:
    """Runs once, measures nothing."""
    return lambda function, *args, **kwargs: function(*args, **kwargs)


@pytest.fixture
def vcr() -> None:
    """Records nothing: its one test skips itself where recordings are not switched on."""


@pytest.fixture
def snapshot() -> None:
    """Compares nothing: the test that asks for it skips itself for models that are not serialised."""
