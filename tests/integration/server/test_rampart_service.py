"""Rampart's routes against their OpenAPI document, and on both kinds of database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from starlette.testclient import TestClient

from tests.integration.server.conftest import TOKEN
from tests.integration.server.test_openapi import _CHECKS
from tests.integration.server.test_rampart import MAIL, V1, abuse, make_app, new_key, ok, post

__all__ = ["abuse"]

pytestmark = pytest.mark.integration

_APART = "login|health|test/run|demo|llm/chat"
"""Throttled, or much work at each call, or (chat) a 502 where messages are none a provider takes; tested elsewhere."""


@pytest.mark.slow
def test_answers_are_documented(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.openapi()  # kept; on a busy machine it takes longer than the reader has patience
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    found: Any = document.include(path_regex=f"^{V1}/").get_all_operations()
    operations = [each.ok() for each in found]
    tried = [operation for operation in operations if not any(part in operation.path for part in _APART.split("|"))]
    assert len(tried) >= 30
    for operation in tried:
        _try(operation)


def _try(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @hypothesis.settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def answers_are_documented(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=_CHECKS, timeout=60)

    answers_are_documented()


def test_both_databases(tmp_path: Path, database_url: str) -> None:
    app = make_app(tmp_path, database_url=database_url)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        made = post(client, "/policies/templates/ccpa", {})
        assert post(client, "/policies/evaluate", {"content": MAIL})["policy_id"] == made["id"]
        key, header = new_key(client, template_pack="rag")
        post(client, "/filter", {"content": MAIL, "filters": ["pii"]}, **header)
        assert [one["id"] for one in ok(client.get(f"{V1}/rampart-keys"))] == [key["id"]]
        assert ok(client.get(f"{V1}/filter/stats"))["pii_detections"] == {"email": 1}
        page = ok(client.get(f"{V1}/audit-logs", params={"event_type": "policy_created"}))
        assert page["logs"][0]["metadata"]["policy_id"] == made["id"]
        ok(client.put(f"{V1}/settings", json={"security": {"block_threshold": 0.5}}))
        assert ok(client.get(f"{V1}/settings"))["security"]["block_threshold"] == 0.5
        for name in ("a\\u0000b", "a\\ud800b"):
            body = f'{{"name": "{name}", "rules": []}}'
            answer = client.post(f"{V1}/policies", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, answer.text
