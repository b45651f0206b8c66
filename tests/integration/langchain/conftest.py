"""What langchain-tests expects of plugins that are not installed here."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """The marks of its suites: recordings of HTTP traffic and benchmarks, neither of which our fakes need."""
    for mark in ("vcr", "benchmark"):
        config.addinivalue_line("markers", f"{mark}: of langchain-tests")


if find_spec("pytest_benchmark") is None:

    @pytest.fixture
    def benchmark() -> Callable[..., Any]:
        """Runs once, measures nothing."""
        return lambda function, *args, **kwargs: function(*args, **kwargs)


if find_spec("pytest_recording") is None:

    @pytest.fixture
    def vcr() -> None:
        """Records nothing: its one test skips itself where recordings are not switched on."""


if find_spec("syrupy") is None:

    @pytest.fixture
    def snapshot() -> None:
        """Compares nothing: the test that asks for it skips itself for models that are not serialised."""
