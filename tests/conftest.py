"""Shared by all tests."""

from __future__ import annotations

import os
import random
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from guardrails_plugin import Engine

# The same examples on every run, so that a change is judged by what it changed; "long" is for looking for new ones.
settings.register_profile(
    "fast",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", parent=settings.get_profile("fast"), max_examples=3000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# Keys, tokens and nonces are drawn from here, so that these too are the same on every run. GUARDRAILS_TEST_SEED=2 draws
# others, to look for what holds with some keys only. Processes that a test starts still draw their own.
_SEED = os.environ.get("GUARDRAILS_TEST_SEED", "")
_chance = random.Random(_SEED)
mock.patch.multiple("os", urandom=_chance.randbytes).start()
mock.patch.multiple("random", _urandom=_chance.randbytes).start()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Each test draws the same, whichever ran before it."""
    _chance.seed(f"{_SEED} {item.nodeid}")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The built-in recipes without keys or sinks."""
    return Engine()
