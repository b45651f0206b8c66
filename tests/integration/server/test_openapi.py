"""The service keeps to its OpenAPI document, whatever it is sent: no failure, no undocumented answer."""

from __future__ import annotations

import random
import time
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import TOKEN

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Not among them: that every body of the right form is accepted. Names of recipes and rules have to exist."""

pytestmark = [pytest.mark.integration, pytest.mark.slow]


_SECONDS = 6.0
"""For the routes of the four products together, beyond the one request that each of them gets in any case."""

_SEED = 7
"""The same requests each time: what fails once fails again."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    url = f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'guardrails.db'}"
    keyring = Keyring({"t1": bytes(range(32))})
    settings = Settings(
        keyring=keyring, database_url=url, bootstrap_token=TOKEN, provider="echo", per_minute=0, per_hour=0
    )
    app = create_app(settings)
    guard = app.state.services.guard
    guard.warm()
    while not guard.is_warm:
        time.sleep(0.1)
    app.openapi()  # kept; on a busy machine it takes longer than the reader has patience
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_answers_are_documented(document: Any) -> None:
    operations = [found.ok() for found in document.include(path_regex="^/guardrails/").get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        _try(operation, 4, _SEED)


def test_answers_of_the_products_are_documented(document: Any) -> None:
    """One request for each route, then a few more until the time is up."""
    operations = [found.ok() for found in document.exclude(path_regex="^/guardrails/").get_all_operations()]
    assert len(operations) > 100
    until = time.monotonic() + _SECONDS
    for operation in operations:
        _try(operation, 1, _SEED)
    for operation in random.Random(_SEED).sample(operations, len(operations)):
        if time.monotonic() > until:
            break
        _try(operation, 3, _SEED + 1)


def _try(operation: Any, examples: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @given(case=operation.as_strategy())
    @hypothesis.settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def answers_are_documented(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=_CHECKS, timeout=240)

    answers_are_documented()
