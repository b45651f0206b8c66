"""Topics over HTTP: a project's own recipe, the counts by topic, Pangea's wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import CORE, TOKEN
from tests.unit.detectors.test_topics import OWN

CHESS = "How do I checkmate with a rook and a king?"
MONEY = "Someone used my credit card, please block it at once."
TOPICS = {name: {**topic, "share": 0.3} for name, topic in OWN.items()}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service, with a recipe that only reports topics."""
    folder: Path = tmp_path_factory.mktemp("topics")
    settings = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{folder / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        provider="echo",
        per_minute=0,
        per_hour=0,
        body_limit=200_000,
    )
    with TestClient(create_app(settings, products=[*CORE, "guardrails_plugin.server.routers.pangea.product"])) as made:
        made.headers["Authorization"] = f"Bearer {TOKEN}"
        rules = [{"detector": "topics", "settings": {"topics": TOPICS}}]
        answer = made.put("/guardrails/v1/recipes/club", json={"stage": "prompt", "rules": rules})
        assert answer.status_code == 200, answer.text
        yield made


def guarded(client: TestClient, text: str, status: int = 200, **overrides: object) -> dict[str, Any]:
    body = {"text": text, "recipe": "club", "overrides": overrides}
    answer = client.post("/ai-guard/v1/text/guard", json=body)
    assert answer.status_code == status, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_use_is_counted_by_topic(client: TestClient) -> None:
    before = client.get("/guardrails/v1/usage", params={"hours": 1}).json()["totals"]
    for text in (CHESS, CHESS, MONEY):
        assert not guarded(client, text)["blocked"]
    after = client.get("/guardrails/v1/usage", params={"hours": 1}).json()["totals"]
    added = {name: after[name] - before.get(name, 0) for name in after if name.startswith("findings.topics.")}
    assert added == {"findings.topics.TOPIC_CHESS": 2, "findings.topics.TOPIC_MONEY": 1}


def test_topics_and_their_confidence_on_the_wire(client: TestClient) -> None:
    found = guarded(client, CHESS)["detectors"]["topic"]
    assert found["detected"]
    assert found["data"]["action"] == "reported"
    (topic,) = found["data"]["topics"]
    assert topic["topic"] == "chess"
    assert 0.5 <= topic["confidence"] <= 1


def test_an_override_names_the_topics_that_are_blocked(client: TestClient) -> None:
    assert guarded(client, CHESS, topic={"action": "block", "topics": ["chess"]})["blocked"]
    assert not guarded(client, MONEY, topic={"action": "block", "topics": ["chess"]})["blocked"]
    assert "topic" not in guarded(client, CHESS, topic={"disabled": True})["detectors"]


def test_topics_that_nobody_defined_are_refused(client: TestClient) -> None:
    guarded(client, CHESS, 400, topic={"action": "block", "topics": ["golf"]})
    guarded(client, CHESS, 400, ignore_recipe=True, topic={"action": "block", "topics": ["chess"]})
