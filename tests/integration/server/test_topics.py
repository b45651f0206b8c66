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
    """The service, with a recipe that only reports topics, and one that blocks one of them."""
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
        for name, actions in (("club", {}), ("blunt", {"TOPIC_CHESS": "block"})):
            rules = [{"detector": "topics", "settings": {"topics": TOPICS}, "actions": actions}]
            answer = made.put(f"/guardrails/v1/recipes/{name}", json={"stage": "prompt", "rules": rules})
            assert answer.status_code == 200, answer.text
        yield made


def guarded(
    client: TestClient, text: str, status: int = 200, *, recipe: str = "club", **overrides: object
) -> dict[str, Any]:
    body = {"text": text, "recipe": recipe, "overrides": overrides}
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


def test_an_override_of_the_action_is_for_all_topics_that_are_looked_for(client: TestClient) -> None:
    """Whatever action the recipe has for one of them; and a topic that is not named is not looked for."""
    assert guarded(client, CHESS, recipe="blunt")["blocked"]
    assert guarded(client, CHESS, recipe="blunt", topic={"action": "", "topics": ["chess"]})["blocked"]
    for changed in ({"action": "report"}, {"topics": ["money"]}, {"action": "block", "topics": ["money"]}):
        assert not guarded(client, CHESS, recipe="blunt", topic=changed)["blocked"], changed


def test_an_override_changes_the_least_confidence(client: TestClient) -> None:
    assert not guarded(client, CHESS, topic={"threshold": 0.99})["detectors"]["topic"]["detected"]
    every = guarded(client, CHESS, topic={"threshold": 0.05})["detectors"]["topic"]["data"]["topics"]
    assert {topic["topic"] for topic in every} > {"chess"}


@pytest.mark.parametrize(
    ("recipe", "topic", "wanted"),
    [
        ("club", {"action": "block", "topics": ["golf"]}, ("DoesNotExist", "/overrides/topic/topics")),
        ("club", {"topics": "chess"}, ("InvalidArray", "/overrides/topic/topics")),
        ("club", {"threshold": 1.5}, ("NotWithinRange", "/overrides/topic/threshold")),
        ("club", {"action": "mask"}, ("NotEnumMember", "/overrides/topic/action")),
        ("pangea_prompt_guard", {"action": "block", "topics": ["chess"]}, ("DoesNotExist", "/overrides/topic")),
        ("pangea_prompt_guard", {"threshold": 0.5}, ("DoesNotExist", "/overrides/topic")),
    ],
)
def test_what_cannot_be_done_is_refused(
    client: TestClient, recipe: str, topic: dict[str, object], wanted: tuple[str, str]
) -> None:
    (error,) = guarded(client, CHESS, 400, recipe=recipe, topic=topic)["errors"]
    assert (error["code"], error["source"]) == wanted


def test_a_recipe_of_this_call_has_no_topics(client: TestClient) -> None:
    guarded(client, CHESS, 400, ignore_recipe=True, topic={"action": "block", "topics": ["chess"]})
