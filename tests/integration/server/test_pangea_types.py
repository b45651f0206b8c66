"""Every entity type that Pangea's ``pii_entity`` names can be asked for; some are looked for only then."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from starlette.testclient import TestClient

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import create_app
from guardrails_plugin.server.settings import Settings
from tests.integration.server.conftest import TOKEN

CONTENT = "On 2024-05-11 she paid $1,234.56, see https://example.org/pay, card 4111 1111 1111 1111."


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(
        keyring=Keyring.generate(),
        database_url=f"sqlite:///{tmp_path_factory.mktemp('types') / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        provider="echo",
        per_minute=0,
        per_hour=0,
    )
    products = [f"guardrails_plugin.server.routers.{name}" for name in ("system", "management", "pangea.product")]
    with TestClient(create_app(settings, products=products)) as made:
        made.headers["Authorization"] = f"Bearer {TOKEN}"
        yield made


def found(client: TestClient, content: str, **types: str) -> dict[str, str]:
    """The action done to each type of a text, of those the overrides name and of the recipe's."""
    body = {"text": content, "overrides": {"pii_entity": types}}
    answer = client.post("/ai-guard/v1/text/guard", json=body)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] | None = answer.json()["result"]["detectors"]["pii_entity"]["data"]
    return {entity["type"]: entity["action"] for entity in (data or {"entities": []})["entities"]}


def test_amounts_dates_and_addresses_of_the_web_are_found_where_they_are_named(client: TestClient) -> None:
    card = {"CREDIT_CARD": "redacted:replaced"}
    assert found(client, CONTENT) == card
    assert found(client, CONTENT, money="report") == {**card, "MONEY": "reported"}
    every = found(client, CONTENT, money="block", url="report", date_time="report")
    assert every == {
        "CREDIT_CARD": every["CREDIT_CARD"],
        "DATE_TIME": "reported",
        "MONEY": "blocked",
        "URL": "reported",
    }
    assert found(client, CONTENT, money="disabled") == card


def test_a_birth_date_is_a_date(client: TestClient) -> None:
    assert found(client, "born 1980-03-14", date_time="replacement") == {"DATE_OF_BIRTH": "redacted:replaced"}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("presidio_analyzer") is None, reason="extra: presidio")
def test_groups_of_people_come_from_the_model(client: TestClient) -> None:
    assert found(client, "The Norwegian senator spoke.", nrp="replacement") == {"NRP": "redacted:replaced"}
